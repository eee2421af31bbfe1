package main

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	"qrgate/tools/faultnet"
)

// topology is which Redis the replicas share.
type topology int

const (
	oneServer topology = iota
	withSentinel
	withShards
	noRedis
)

// chaosCase is one fault, or none.
type chaosCase struct {
	name       string
	replicas   []int // numbers of replicas to run it with
	redis      topology
	firstAlone bool // the first replica has no Redis
	isLasting  bool // Redis does not come back
	isShort    bool // no client starts after the moment at which other faults begin
	fault      func(context.Context, *cluster)
}

// The cases without a fault. While the engine is away no session is created, so what such a case costs is compared with
// a run of as few sessions.
const (
	calmName  = "calm"
	shortName = "calm, only the clients of the first 3 s"
)

var (
	every   = []int{0, 1, 3} // 0: clients call the engine themselves
	several = []int{2, 3}
)

// cases are all cases. A fault runs in a goroutine of its own and may end before the flows do.
func cases() []chaosCase {
	return slices.Concat(redisCases(), linkCases(), engineCases(), []chaosCase{
		{name: "replica killed", replicas: several, fault: func(_ context.Context, k *cluster) {
			k.replicas[0].Stop(syscall.SIGKILL)
		}},
		{name: "replica killed, back after 1 s", replicas: several, fault: func(ctx context.Context, k *cluster) {
			k.replicas[0].Stop(syscall.SIGKILL)
			sleep(ctx, time.Second)
			_ = k.replicas[0].Start(ctx)
		}},
		{name: "rolling restart", replicas: several, fault: func(ctx context.Context, k *cluster) {
			for _, r := range k.replicas {
				r.Stop(syscall.SIGTERM)
				_ = r.Start(ctx)
			}
		}},
		{name: "Redis and engine killed, back after 2 s", replicas: several, fault: func(ctx context.Context, k *cluster) {
			k.redis.Stop()
			k.engineDown(true)
			sleep(ctx, 2*time.Second)
			k.redis.Restart()
			k.engineUp()
		}},
	})
}

// redisCases break Redis itself.
func redisCases() []chaosCase {
	command := func(text ...string) func(context.Context, *cluster) {
		return func(_ context.Context, k *cluster) { k.redis.Command(text...) }
	}
	return []chaosCase{
		{name: calmName, replicas: []int{0, 1, 2, 3}},
		{name: shortName, replicas: every, isShort: true},
		{name: "Redis killed, empty after 2 s", replicas: several, fault: func(ctx context.Context, k *cluster) {
			k.redis.Stop()
			sleep(ctx, 2*time.Second)
			k.redis.Restart()
		}},
		{name: "Redis gone", replicas: several, isLasting: true, fault: func(_ context.Context, k *cluster) {
			k.redis.Stop()
		}},
		{name: "Redis stalled for 3 s", replicas: several, fault: func(ctx context.Context, k *cluster) {
			k.redis.Pause()
			sleep(ctx, 3*time.Second)
			k.redis.Resume()
		}},
		{name: "Redis stalled three times for 1.5 s", replicas: several, fault: func(ctx context.Context, k *cluster) {
			for range 3 {
				k.redis.Pause()
				sleep(ctx, 1500*time.Millisecond)
				k.redis.Resume()
				sleep(ctx, 1500*time.Millisecond)
			}
		}},
		{name: "Redis refuses writes for 6 s", replicas: several, fault: command("CLIENT", "PAUSE", "6000", "WRITE")},
		{name: "Redis out of memory", replicas: several, isLasting: true, fault: command("CONFIG", "SET", "maxmemory", "1")},
		{name: "Redis read-only for 9 s", replicas: several, fault: func(ctx context.Context, k *cluster) {
			k.redis.Command("REPLICAOF", "127.0.0.1", "1")
			sleep(ctx, 9*time.Second)
			k.redis.Command("REPLICAOF", "NO", "ONE")
		}},
		{name: "Redis subscriptions killed 24 times", replicas: several, fault: func(ctx context.Context, k *cluster) {
			for range 24 {
				k.redis.Command("CLIENT", "KILL", "TYPE", "pubsub")
				sleep(ctx, 400*time.Millisecond)
			}
		}},
	}
}

// linkCases break the connections of some replicas to Redis, or use another kind of it.
func linkCases() []chaosCase {
	links := func(n int, d time.Duration, faults ...faultnet.Fault) func(context.Context, *cluster) {
		return func(ctx context.Context, k *cluster) {
			for _, l := range k.links[:min(n, len(k.links))] {
				_ = l.Set(faults...)
			}
			sleep(ctx, d)
			for _, l := range k.links {
				_ = l.Set()
			}
		}
	}
	const ever, all = time.Hour, 99
	slow, lost := faultnet.Delay(faultnet.Responses, 100*time.Millisecond), faultnet.Loss(faultnet.Responses)
	return []chaosCase{
		{name: "Redis slow: 100 ms", replicas: several, fault: links(all, ever, slow)},
		{name: "Redis responses lost for 4 s", replicas: several, fault: links(all, 4*time.Second, lost)},
		{name: "Redis resets connections for 4 s", replicas: several,
			fault: links(all, 4*time.Second, faultnet.Reset(faultnet.Responses))},
		{name: "one replica loses Redis", replicas: several,
			fault: links(1, ever, faultnet.Loss(faultnet.Requests))},
		{name: "one replica without Redis", replicas: several, firstAlone: true},
		{name: "no Redis", replicas: several, redis: noRedis},
		{name: "Sentinel fail-over", replicas: several, redis: withSentinel, fault: func(_ context.Context, k *cluster) {
			k.sentinel.Master.Stop()
		}},
		{name: "Cluster resharding", replicas: several, redis: withShards, fault: func(ctx context.Context, k *cluster) {
			nodes := k.shards.Nodes
			for slot := 0; slot < 16384/3 && sleep(ctx, time.Millisecond); slot += 4 {
				k.shards.MoveSlot(slot, nodes[0], nodes[1])
			}
		}},
	}
}

func engineCases() []chaosCase {
	away := func(d time.Duration) func(context.Context, *cluster) {
		return func(ctx context.Context, k *cluster) {
			k.engineDown(true)
			sleep(ctx, d)
			k.engineUp()
		}
	}
	network := func(d time.Duration, faults ...faultnet.Fault) func(context.Context, *cluster) {
		return func(ctx context.Context, k *cluster) {
			_ = k.engineLink.Set(faults...)
			sleep(ctx, d)
			_ = k.engineLink.Set()
		}
	}
	return []chaosCase{
		{name: "engine killed, back after 0.3 s", replicas: every, fault: away(300 * time.Millisecond)},
		{name: "engine killed, back after 2 s", replicas: every, fault: away(2 * time.Second)},
		{name: "engine away for 15 s", replicas: every, fault: away(15 * time.Second)},
		{name: "engine slow: 5 s, for 5 s", replicas: every, fault: func(ctx context.Context, k *cluster) {
			k.engine.responseDelay.Store(int64(5 * time.Second))
			sleep(ctx, 5*time.Second)
			k.engine.responseDelay.Store(0)
		}},
		{name: "engine stalled for 5 s", replicas: every, fault: func(ctx context.Context, k *cluster) {
			k.engine.isStalled.Store(true)
			sleep(ctx, 5*time.Second)
			k.engine.isStalled.Store(false)
		}},
		{name: "engine resets connections for 6 s", replicas: every,
			fault: network(6*time.Second, faultnet.Reset(faultnet.Responses))},
		{name: "engine cuts responses for 6 s", replicas: every,
			fault: network(6*time.Second, faultnet.Cut(faultnet.Responses, 900))},
		{name: "engine loses responses to POSTs for 6 s", replicas: every, fault: func(ctx context.Context, k *cluster) {
			k.engine.losesPosts.Store(true)
			sleep(ctx, 6*time.Second)
			k.engine.losesPosts.Store(false)
		}},
		{name: "engine flaps, 75 % away for 12 s", replicas: every, fault: func(ctx context.Context, k *cluster) {
			for range 12 {
				k.engineDown(false)
				sleep(ctx, 750*time.Millisecond)
				k.engineUp()
				sleep(ctx, 250*time.Millisecond)
			}
		}},
	}
}

// runCase runs one case and counts.
func runCase(ctx context.Context, o *options, c chaosCase, replicas, perKey int) (r row, err error) {
	k, err := c.startCluster(ctx, o, replicas)
	defer k.close()
	if err != nil {
		return row{}, err
	}
	users := &clients{engine: k.engine, printsLost: o.Lost}
	users.http.Transport = oneRequestPerConnection()
	for _, r := range k.replicas {
		users.targets = append(users.targets, "http://"+r.Addr)
	}
	if replicas == 0 {
		users.targets = []string{"http://" + k.engineLink.Addr()}
	}
	faulting, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		defer func() {
			if failed := recover(); failed != nil {
				done <- fmt.Errorf("the fault failed: %v", failed)
			}
			close(done)
		}()
		if c.fault != nil && sleep(faulting, o.FaultAt) {
			c.fault(faulting, k)
		}
	}()
	until := o.Over
	if c.isShort {
		until = o.FaultAt
	}
	users.run(ctx, o.Flows, perKey, o.Over, until)
	stop()
	if err := <-done; err != nil {
		return row{}, err
	}
	r = count(c.name, replicas, perKey, users)
	if r.Healed = -1; !c.isLasting {
		r.Healed = k.awaitHealed(ctx)
	}
	return r, ctx.Err()
}
