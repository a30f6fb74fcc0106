//go:build ignore

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Questions to name servers that get an error or no answer. Seen are UDP
 * packets of port 53, where they enter and leave sockets. A question waits
 * in a map until its answer takes it out; what stays is read by userspace.
 */
#include "../include/vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define DNS 53
#define UDP 17
#define SERVFAIL 2
#define REFUSED 5

struct key {
	__u8 client[16]; /* IPv4 addresses as ::ffff:a.b.c.d */
	__u8 server[16];
	__u16 port;      /* the client's */
	__u16 id;
};

struct question {
	__u64 asked;    /* ns since boot, without suspend */
	__u64 answered; /* 0 while it waits */
	__u32 rcode;
	__u32 length;   /* of name that is filled in */
	__u8 name[64];  /* as in the packet: labels with their lengths */
};
struct key *unused_key __attribute__((unused));
struct question *unused_question __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct key);
	__type(value, struct question);
} questions SEC(".maps");

/* parse returns where the DNS message begins, 0 where the packet holds none. */
static __always_inline __u32 parse(struct __sk_buff *skb, bool out, struct key *k)
{
	__u8 first = 0, proto = 0;
	__u16 ports[2] = {};
	__u32 at;

	if (bpf_skb_load_bytes(skb, 0, &first, 1))
		return 0;
	if (first >> 4 == 4) {
		at = (first & 15) * 4;
		if (bpf_skb_load_bytes(skb, 9, &proto, 1) || proto != UDP)
			return 0;
	} else if (first >> 4 == 6) {
		at = 40;
		if (bpf_skb_load_bytes(skb, 6, &proto, 1) || proto != UDP)
			return 0;
	} else {
		return 0;
	}
	if (bpf_skb_load_bytes(skb, at, ports, 4) || ports[out] != bpf_htons(DNS))
		return 0;
	k->port = bpf_ntohs(ports[!out]);
	if (at == 40 && first >> 4 == 6) {
		bpf_skb_load_bytes(skb, 8, out ? k->client : k->server, 16);
		bpf_skb_load_bytes(skb, 24, out ? k->server : k->client, 16);
	} else {
		k->client[10] = k->client[11] = k->server[10] = k->server[11] = 0xff;
		bpf_skb_load_bytes(skb, 12, (out ? k->client : k->server) + 12, 4);
		bpf_skb_load_bytes(skb, 16, (out ? k->server : k->client) + 12, 4);
	}
	bpf_skb_load_bytes(skb, at + 8, &k->id, 2);
	return at + 8;
}

SEC("cgroup_skb/egress")
int ask(struct __sk_buff *skb)
{
	struct question q = {};
	struct key k = {};
	__u32 at = parse(skb, true, &k);
	__u64 n;

	if (!at || skb->len <= at + 12)
		return 1;
	q.asked = bpf_ktime_get_ns();
	n = skb->len - at - 12;
	if (n > sizeof(q.name) - 1)
		n = sizeof(q.name) - 1;
	asm volatile("%0 &= 63" : "+r"(n)); /* the bound, where the verifier must see it */
	if (!n || bpf_skb_load_bytes(skb, at + 12, q.name, n))
		return 1;
	q.length = n;
	/* A question that is asked again waits since it was asked first. */
	bpf_map_update_elem(&questions, &k, &q, BPF_NOEXIST);
	return 1;
}

SEC("cgroup_skb/ingress")
int answer(struct __sk_buff *skb)
{
	struct question *q;
	struct key k = {};
	__u8 flags[2] = {};
	__u32 at = parse(skb, false, &k);

	if (!at || bpf_skb_load_bytes(skb, at + 2, flags, 2) || !(flags[0] & 0x80))
		return 1;
	if ((flags[1] & 15) != SERVFAIL && (flags[1] & 15) != REFUSED) {
		bpf_map_delete_elem(&questions, &k);
		return 1;
	}
	q = bpf_map_lookup_elem(&questions, &k);
	if (q) {
		q->rcode = flags[1] & 15;
		q->answered = bpf_ktime_get_ns();
	}
	return 1;
}
