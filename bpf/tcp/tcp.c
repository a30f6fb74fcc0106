//go:build ignore

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * TCP connections that fail, are reset or need retransmissions, added up by
 * who called whom on which port, so that a flood costs no more than a number.
 */
#include "../include/cgroup.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define AF_INET6 10
#define TCP_SYN_SENT 2
#define TCP_CLOSE 7
#define GIVEN_UP 1000000000ULL /* ns: a first SYN is sent again after a second */

enum outcome {
	OUTCOME_CLOSED = 1,      /* the caller gave up: no answer for a second or more */
	OUTCOME_ERROR = 2,       /* connect failed with errno */
	OUTCOME_RESET = 3,       /* the peer reset what was established */
	OUTCOME_RETRANSMIT = 4,  /* data was sent again */
	OUTCOME_SYN_RETRANSMIT = 5,
};

struct key {
	__u64 cgroup;      /* of the process that called connect; 0 where that was not seen */
	__u8 local[16];    /* IPv4 addresses as ::ffff:a.b.c.d */
	__u8 remote[16];
	__u16 port;        /* the server's side */
	__u16 outcome;
	__s16 error;       /* errno of connect */
	__u16 server;      /* local is the server */
};

struct total {
	__u64 first; /* ns since boot, without suspend */
	__u64 last;
	__u64 count;
	__u64 waited; /* ns, all together, until the failure */
};
struct key *unused_key __attribute__((unused));
struct total *unused_total __attribute__((unused));
struct place *unused_place __attribute__((unused));

struct caller {
	__u64 cgroup;
	__u64 since;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192); /* pairs that fail within one reading */
	__type(key, struct key);
	__type(value, struct total);
} totals SEC(".maps");

/* Who connected a socket, for as long as it is open. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, __u64);
	__type(value, struct caller);
} callers SEC(".maps");

/* Containers that connected, by cgroup. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2048);
	__type(key, __u64);
	__type(value, struct place);
} places SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct place);
} scratch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} lost SEC(".maps");

static __always_inline void add(struct sock *sk, __u16 outcome, __s16 error, __u64 waited, struct caller *caller)
{
	struct key k = {.outcome = outcome, .error = error};
	__u64 now = bpf_ktime_get_ns(), *n;
	__u16 own;
	struct total fresh = {.first = now, .last = now, .count = 1, .waited = waited}, *t;
	__u32 zero = 0;

	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET6) {
		BPF_CORE_READ_INTO(&k.local, sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr8);
		BPF_CORE_READ_INTO(&k.remote, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
	} else {
		k.local[10] = k.local[11] = k.remote[10] = k.remote[11] = 0xff;
		*(__u32 *)&k.local[12] = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
		*(__u32 *)&k.remote[12] = BPF_CORE_READ(sk, __sk_common.skc_daddr);
	}
	own = BPF_CORE_READ(sk, __sk_common.skc_num);
	k.port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (caller) {
		k.cgroup = caller->cgroup;
	} else if (own < k.port) { /* a server, or a caller from before we looked: servers have the lower ports */
		k.server = 1;
		k.port = own;
	}
	t = bpf_map_lookup_elem(&totals, &k);
	if (!t) {
		if (!bpf_map_update_elem(&totals, &k, &fresh, BPF_NOEXIST))
			return;
		t = bpf_map_lookup_elem(&totals, &k); /* another CPU was faster, or it is full */
	}
	if (t) {
		__sync_fetch_and_add(&t->count, 1);
		__sync_fetch_and_add(&t->waited, waited);
		t->last = now;
		return;
	}
	n = bpf_map_lookup_elem(&lost, &zero);
	if (n)
		(*n)++;
}

static __always_inline void remember(__u64 sk)
{
	struct cgroup_subsys_state *css = memory_css((void *)bpf_get_current_task());
	struct caller c = {.since = bpf_ktime_get_ns()};
	struct place *p;
	__u32 zero = 0;

	if (css)
		c.cgroup = BPF_CORE_READ(css, cgroup, kn, id);
	bpf_map_update_elem(&callers, &sk, &c, BPF_ANY);
	if (!css || bpf_map_lookup_elem(&places, &c.cgroup))
		return;
	p = bpf_map_lookup_elem(&scratch, &zero);
	if (p && find_place(css, p) >= 0)
		bpf_map_update_elem(&places, &c.cgroup, p, BPF_ANY);
}

SEC("raw_tracepoint/inet_sock_set_state")
int inet_sock_set_state(struct bpf_raw_tracepoint_args *ctx)
{
	struct sock *sk = (void *)ctx->args[0];
	__u64 id = (__u64)sk;
	int old = ctx->args[1], new = ctx->args[2];
	struct caller *c;
	__u64 waited;
	int error;

	if (old == TCP_CLOSE && new == TCP_SYN_SENT) {
		remember(id); /* called by the process that connects */
		return 0;
	}
	if (new != TCP_CLOSE)
		return 0;
	c = bpf_map_lookup_elem(&callers, &id);
	if (!c)
		return 0;
	if (old == TCP_SYN_SENT) {
		waited = bpf_ktime_get_ns() - c->since;
		error = BPF_CORE_READ(sk, sk_err);
		if (!error)
			error = BPF_CORE_READ(sk, sk_err_soft); /* what a router said */
		if (error)
			add(sk, OUTCOME_ERROR, error, waited, c);
		else if (waited >= GIVEN_UP)
			add(sk, OUTCOME_CLOSED, 0, waited, c);
	}
	bpf_map_delete_elem(&callers, &id);
	return 0;
}

SEC("raw_tracepoint/tcp_retransmit_skb")
int tcp_retransmit_skb(struct bpf_raw_tracepoint_args *ctx)
{
	struct sock *sk = (void *)ctx->args[0];
	__u64 id = (__u64)sk;
	bool syn = BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_SYN_SENT;

	add(sk, syn ? OUTCOME_SYN_RETRANSMIT : OUTCOME_RETRANSMIT, 0, 0, bpf_map_lookup_elem(&callers, &id));
	return 0;
}

SEC("raw_tracepoint/tcp_receive_reset")
int tcp_receive_reset(struct bpf_raw_tracepoint_args *ctx)
{
	struct sock *sk = (void *)ctx->args[0];
	__u64 id = (__u64)sk;

	if (BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_SYN_SENT)
		add(sk, OUTCOME_RESET, 0, 0, bpf_map_lookup_elem(&callers, &id));
	return 0;
}
