package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"qrgate/internal/test/redistest"
	"qrgate/tools/faultnet"
	"qrgate/tools/rig"
)

// cluster is everything of one case: replicas, Redis, the engine.
type cluster struct {
	options    *options
	host       *rig.Host
	engine     *engine
	links      []*faultnet.Link // replica -> Redis
	engineLink *faultnet.Link   // replicas -> engine
	redis      *redistest.Server
	sentinel   *redistest.Sentinels
	shards     *redistest.Cluster
	replicas   []*rig.Replica
}

// startCluster starts everything that a case needs. The caller calls close, on an error too.
func (c chaosCase) startCluster(ctx context.Context, o *options, n int) (k *cluster, err error) {
	k = &cluster{options: o, host: &rig.Host{}}
	defer rig.Recover(&err)
	if k.engine, err = newEngine(); err != nil {
		return k, err
	}
	if k.engineLink, err = faultnet.New(k.engine.addr); err != nil {
		return k, err
	}
	switch c.redis {
	case oneServer:
		k.redis = redistest.Start(k.host)
	case withSentinel:
		k.sentinel = redistest.StartSentinels(k.host)
	case withShards:
		k.shards = redistest.StartCluster(k.host)
	}
	for i := range n {
		env := []string{
			"QRGATE_ENGINE_URL=http://" + k.engineLink.Addr(), "QRGATE_SECRET=a secret of the chaos run",
			"QRGATE_WHATSAPP_CHECK=false", "QRGATE_LOG_LEVEL=info",
		}
		url, err := k.redisURL(i)
		if err != nil {
			return k, err
		}
		if url != "" && !(c.firstAlone && i == 0) {
			env = append(env, "QRGATE_REDIS_URL="+url)
		} else {
			env = append(env, fmt.Sprint("QRGATE_REPLICAS=", n))
		}
		if err := k.addReplica(ctx, i, env); err != nil {
			return k, err
		}
	}
	return k, nil
}

// redisURL is the URL for a replica: over a link of its own to one server.
func (k *cluster) redisURL(int) (string, error) {
	switch {
	case k.sentinel != nil:
		return k.sentinel.URL(), nil
	case k.shards != nil:
		return k.shards.URL(), nil
	case k.redis == nil:
		return "", nil
	}
	link, err := faultnet.New(k.redis.Addr())
	if err != nil {
		return "", err
	}
	k.links = append(k.links, link)
	return "redis://" + link.Addr(), nil
}

func (k *cluster) addReplica(ctx context.Context, i int, env []string) error {
	log := io.Discard
	if k.options.Logs != "" {
		f, err := os.Create(filepath.Join(k.options.Logs, fmt.Sprintf("replica-%d.log", i)))
		if err != nil {
			return err
		}
		k.host.Cleanup(func() { _ = f.Close() })
		log = f
	}
	r, err := rig.NewReplica(k.options.Gateway, env, log)
	if err != nil {
		return err
	}
	k.replicas = append(k.replicas, r)
	return r.Start(ctx)
}

// isHealed reports whether every replica uses its Redis.
func (k *cluster) isHealed() bool {
	for _, r := range k.replicas {
		text, err := r.Get("/readyz")
		if err != nil || !bytes.Contains([]byte(text), []byte(`"ok"`)) || strings.Contains(text, "degraded") {
			return false
		}
	}
	return true
}

// engineDown ends the engine: its port refuses connections. With loss, it forgets what it connected.
func (k *cluster) engineDown(loss bool) {
	k.engineLink.Down()
	k.engine.down(loss)
}

// engineUp starts the engine again.
func (k *cluster) engineUp() {
	if err := errors.Join(k.engine.up(), k.engineLink.Up()); err != nil {
		k.host.Fatal(err)
	}
}

func (k *cluster) close() {
	for _, r := range k.replicas {
		r.Stop(syscall.SIGKILL)
	}
	for _, l := range append(k.links, k.engineLink) {
		if l != nil {
			l.Down()
		}
	}
	if k.engine != nil {
		k.engine.close()
	}
	k.host.Close()
}
