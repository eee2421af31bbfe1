package redistest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qrgate/internal/test/program"
)

// Cluster is three masters without replicas, each with a third of the slots.
type Cluster struct {
	Nodes []*Server
}

// clusterSlots is the number of slots of every cluster.
const clusterSlots = 16384

// StartCluster runs a cluster until the test ends.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{}
	for range 3 {
		dir := t.TempDir()
		c.Nodes = append(c.Nodes, Start(t, "--cluster-enabled", "yes", "--dir", dir, "--cluster-node-timeout", "2000"))
	}
	for i, node := range c.Nodes {
		from, to := i*clusterSlots/3, (i+1)*clusterSlots/3-1
		node.Command("CLUSTER", "ADDSLOTSRANGE", fmt.Sprint(from), fmt.Sprint(to))
		node.Command("CLUSTER", "SET-CONFIG-EPOCH", fmt.Sprint(i+1))
		if i > 0 {
			node.Command("CLUSTER", "MEET", "127.0.0.1", fmt.Sprint(c.Nodes[0].port))
		}
	}
	for _, node := range c.Nodes {
		node.Await("cluster_state:ok", "CLUSTER", "INFO")
		node.Await("cluster_known_nodes:3", "CLUSTER", "INFO")
	}
	return c
}

// URL is redis+cluster:// with two of the nodes.
func (c *Cluster) URL() string {
	return "redis+cluster://" + c.Nodes[0].Addr() + "," + c.Nodes[1].Addr()
}

// MoveSlot moves a slot with its keys from one node to another.
func (c *Cluster) MoveSlot(slot int, from, to *Server) {
	name, source, target := fmt.Sprint(slot), from.nodeID(), to.nodeID()
	to.Command("CLUSTER", "SETSLOT", name, "IMPORTING", source)
	from.Command("CLUSTER", "SETSLOT", name, "MIGRATING", target)
	move := []string{"MIGRATE", "127.0.0.1", fmt.Sprint(to.port), "", "0", "1000", "KEYS"}
	for line := range strings.Lines(from.Command("CLUSTER", "GETKEYSINSLOT", name, "100")) {
		if strings.HasPrefix(line, "qg:") {
			move = append(move, strings.TrimSpace(line))
		}
	}
	if move[len(move)-1] != "KEYS" {
		from.Command(move...)
	}
	for _, node := range append([]*Server{to, from}, c.Nodes...) {
		node.Command("CLUSTER", "SETSLOT", name, "NODE", target)
	}
}

func (s *Server) nodeID() string { return strings.TrimSpace(s.Command("CLUSTER", "MYID")) }

// Sentinels is a master with a replica, and a Sentinel that watches them.
type Sentinels struct {
	Master, Replica *Server
	Sentinel        *Server
}

// StartSentinels runs them until the test ends. The master's name is "main".
func StartSentinels(t testing.TB) *Sentinels {
	t.Helper()
	s := &Sentinels{Master: Start(t)}
	s.Replica = Start(t, "--replicaof", "127.0.0.1", fmt.Sprint(s.Master.port))
	conf := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("sentinel monitor main 127.0.0.1 %d 1\nsentinel down-after-milliseconds main 1000\n"+
		"sentinel failover-timeout main 3000\n", s.Master.port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Sentinel = startSentinel(t, conf)
	s.Replica.Await("master_link_status:up", "INFO", "replication")
	s.Sentinel.Await("slaves=1", "INFO", "sentinel")
	return s
}

// URL is redis+sentinel:// with the Sentinel.
func (s *Sentinels) URL() string { return "redis+sentinel://" + s.Sentinel.Addr() + "/main/0" }

// startSentinel runs a Sentinel, which prints no line when it is ready.
func startSentinel(t testing.TB, conf string) *Server {
	t.Helper()
	path := program.Find(t, "redis-server", "redis-server")
	s := &Server{t: t, path: path, port: freePort(t)}
	s.cmd = exec.Command(path, conf, "--sentinel", "--port", fmt.Sprint(s.port), "--bind", "127.0.0.1")
	s.cmd.SysProcAttr = dieWithParent()
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	s.Await("+PONG", "PING")
	return s
}

// Await sends a command until its reply contains a text.
func (s *Server) Await(text string, command ...string) {
	s.t.Helper()
	reply := ""
	for deadline := time.Now().Add(readyTimeout); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var err error
		if reply, err = s.send(command); err == nil && strings.Contains(reply, text) {
			return
		}
	}
	s.t.Fatalf("%v does not return %q but %q", command, text, reply)
}

// Command sends a command and returns the text of its reply: a bulk string's content, else the whole line.
func (s *Server) Command(command ...string) string {
	s.t.Helper()
	reply, err := s.send(command)
	if err != nil || strings.HasPrefix(reply, "-") {
		s.t.Fatalf("%v: %q, %v", command, reply, err)
	}
	if _, content, ok := strings.Cut(reply, "\r\n"); ok && strings.HasPrefix(reply, "$") {
		return content
	}
	return reply
}

func (s *Server) send(command []string) (string, error) {
	conn, err := net.DialTimeout("tcp", s.Addr(), time.Second)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	request := fmt.Sprintf("*%d\r\n", len(command))
	for _, word := range command {
		request += fmt.Sprintf("$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := conn.Write([]byte(request)); err != nil {
		return "", err
	}
	buf := make([]byte, 64<<10)
	n, err := conn.Read(buf)
	return string(buf[:n]), err
}
