//go:build ignore

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The kernel chooses a victim because memory ran out: who it is, what it held,
 * and which limit on the way up from its cgroup was reached, if any.
 */
#include "../include/cgroup.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define SLACK 64 /* pages: a charge that fails asks for a batch of up to 64 */
#define NO_LIMIT (-100)
#define UNLIMITED (1ULL << 50) /* pages; the kernel writes LONG_MAX in pages */

/* What a task looked for before it asked for a victim. */
#define OF_NODE 1
#define OF_CGROUP 2

struct event {
	__u64 time;  /* ns since boot, without suspend */
	__u64 limit; /* pages: the limit that was reached */
	__u64 usage; /* pages charged against it */
	__u64 container_limit; /* pages */
	__u64 container_usage; /* pages */
	__u64 rss;   /* pages that the victim held; 0 where the kernel doesn't tell */
	__u32 pid;
	__u32 main;  /* process 1 of its PID namespace */
	__s32 level; /* of the limit: 0 the container's own, 1 the pod's, above that the node's parts */
	__u32 known; /* the place is the victim's; else that of the task that asked for memory */
	char comm[16];
	struct place place;
};
struct event *unused __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 17); /* some 380 kills */
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} lost SEC(".maps");

/*
 * Why each task reclaimed last. A kill follows in the same task when that was in
 * vain, and by then whoever exits may have brought the usage below the limit.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32); /* thread */
	__type(value, __u32);
} reclaims SEC(".maps");

static __always_inline void reclaimed(__u32 what)
{
	__u32 thread = bpf_get_current_pid_tgid();

	bpf_map_update_elem(&reclaims, &thread, &what, BPF_ANY);
}

SEC("raw_tracepoint/mm_vmscan_direct_reclaim_begin")
int node_reclaim(struct bpf_raw_tracepoint_args *ctx)
{
	reclaimed(OF_NODE);
	return 0;
}

SEC("raw_tracepoint/mm_vmscan_memcg_reclaim_begin")
int cgroup_reclaim(struct bpf_raw_tracepoint_args *ctx)
{
	reclaimed(OF_CGROUP);
	return 0;
}

static __always_inline __u64 held(struct task_struct *task)
{
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	__u64 pages = 0;

	if (!mm || !bpf_core_field_exists(mm->rss_stat) || !bpf_core_type_exists(struct percpu_counter))
		return 0;
	for (int i = 0; i < 4; i++) { /* file, anonymous, swap, shared */
		__s64 n = 0;

		bpf_probe_read_kernel(&n, sizeof(n), (void *)mm + bpf_core_field_offset(mm->rss_stat) +
				      i * bpf_core_type_size(struct percpu_counter) +
				      bpf_core_field_offset(struct percpu_counter, count));
		if (i != 2 && n > 0)
			pages += n;
	}
	return pages;
}

SEC("raw_tracepoint/mark_victim")
int mark_victim(struct bpf_raw_tracepoint_args *ctx)
{
	bool wide = bpf_core_field_exists(struct trace_event_raw_mark_victim, total_vm);
	struct task_struct *task = (void *)bpf_get_current_task();
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	struct cgroup_subsys_state *css;
	__u64 room = UNLIMITED;
	__u32 zero = 0, thread = bpf_get_current_pid_tgid(), *why;
	bool reached = false, any = true, limited = true;
	int container;

	if (!e) {
		__u64 *n = bpf_map_lookup_elem(&lost, &zero);

		if (n)
			(*n)++;
		return 0;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->time = bpf_ktime_get_ns();
	e->pid = ctx->args[0];
	e->level = NO_LIMIT;
	if (wide) {
		task = (void *)ctx->args[0];
		e->known = 1;
		e->pid = BPF_CORE_READ(task, tgid);
		e->rss = held(task);
		BPF_CORE_READ_STR_INTO(&e->comm, task, comm);
		e->main = inner_pid(BPF_CORE_READ(task, group_leader, thread_pid)) == 1;
	}
	why = bpf_map_lookup_elem(&reclaims, &thread);
	if (why) {
		limited = *why == OF_CGROUP;
		any = !limited;
	}
	css = memory_css(task);
	container = find_place(css, &e->place);

	for (int i = 0; i < LEVELS + 3 && css; i++) {
		struct mem_cgroup *memcg = (void *)css; /* its first member, in every kernel with CO-RE */
		__u64 usage = BPF_CORE_READ(memcg, memory.usage.counter);
		__u64 max = BPF_CORE_READ(memcg, memory.max);

		if (i == container) {
			e->container_usage = usage;
			e->container_limit = max;
		}
		/* The lowest limit that is reached; else the one with the least room. */
		if (limited && !reached && max < UNLIMITED) {
			__u64 left = usage < max ? max - usage : 0;

			reached = left <= SLACK;
			if (reached || (!any && left + SLACK < room)) {
				room = left;
				e->level = i > container ? i - container : 0;
				e->usage = usage;
				e->limit = max;
			}
		}
		css = BPF_CORE_READ(css, parent);
	}
	bpf_ringbuf_submit(e, 0);
	return 0;
}
