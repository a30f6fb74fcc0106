//go:build ignore

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Processes of containers that end, and who sent the signal that ended them.
 * What a container's own shell starts and ends by the thousand is counted here
 * and not sent: told are first processes, those that a signal killed, and
 * those that were put in from outside (exec, probes) and failed.
 */
#include "../include/cgroup.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define SIGKILL 9
#define SIGTERM 15
#define PF_EXITING 4
#define SI_KERNEL 0x80

struct sender {
	__u64 time;   /* ns since boot, without suspend */
	__u64 cgroup; /* of the sender, as in place */
	__u32 pid;
	__s32 code;   /* SI_USER 0, SI_KERNEL 0x80, … */
	__u32 signal;
	__u32 contained; /* it was in a container */
	__u32 dying;  /* the sender was ending: a PID namespace takes all down with its first process */
	char comm[16];
};

struct event {
	__u64 time;
	__u64 started;  /* ns since boot, without suspend */
	__u64 peak_rss; /* pages, the most it ever held */
	__u32 pid;
	__u32 status;   /* as wait(2) gives it */
	__u32 main;     /* process 1 of its PID namespace */
	__u32 has_sender;
	struct sender sender;
	char comm[16];
	struct place place;
};
struct event *unused __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 19); /* some 1,500 exits: a second of the worst that was measured */
} events SEC(".maps");

/* SIGTERM and SIGKILL on their way, by the process that they are for. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct sender);
} senders SEC(".maps");

/* 0: events lost; 1: exits of containers' processes, told or not. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

static __always_inline void count(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&counts, &what);

	if (n)
		(*n)++;
}

static __always_inline __u64 cgroup_of(struct task_struct *task)
{
	struct cgroup_subsys_state *css = memory_css(task);

	return css ? BPF_CORE_READ(css, cgroup, kn, id) : 0;
}

SEC("raw_tracepoint/signal_generate")
int signal_generate(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 sig = ctx->args[0];
	struct kernel_siginfo *info = (void *)ctx->args[1];
	struct task_struct *to = (void *)ctx->args[2];
	struct task_struct *from = (void *)bpf_get_current_task();
	struct sender s = {};
	struct place where;
	__u32 tgid;

	if (sig != SIGKILL && sig != SIGTERM)
		return 0;
	tgid = BPF_CORE_READ(to, tgid);
	s.signal = sig;
	/* 0 and 1 stand for "from a process" and "from the kernel". */
	s.code = (unsigned long)info > 1 ? BPF_CORE_READ(info, si_code) : info ? SI_KERNEL : 0;
	s.time = bpf_ktime_get_ns();
	s.pid = bpf_get_current_pid_tgid() >> 32;
	s.contained = find_place(memory_css(from), &where) >= 0;
	s.dying = !!(BPF_CORE_READ(from, flags) & PF_EXITING);
	s.cgroup = cgroup_of(from);
	bpf_get_current_comm(s.comm, sizeof(s.comm));
	bpf_map_update_elem(&senders, &tgid, &s, BPF_ANY);
	return 0;
}

SEC("raw_tracepoint/sched_process_exit")
int sched_process_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	struct cgroup_subsys_state *css;
	struct sender *sender;
	struct event *e;
	__u32 tgid, status, main;

	/* It fires for each thread; the last one is the end of the process. */
	if (BPF_CORE_READ(task, signal, live.counter) != 0)
		return 0;
	css = memory_css(task);
	if (!css || !BPF_CORE_READ(css, parent))
		return 0; /* not in any cgroup */
	tgid = BPF_CORE_READ(task, tgid);
	status = BPF_CORE_READ(task, group_leader, exit_code);
	main = inner_pid(BPF_CORE_READ(task, group_leader, thread_pid)) == 1;
	count(1);
	if (!main && !(status & 0x7f) &&
	    (!status || cgroup_of(BPF_CORE_READ(task, group_leader, real_parent)) == BPF_CORE_READ(css, cgroup, kn, id)))
		return 0;
	sender = bpf_map_lookup_elem(&senders, &tgid);
	if (sender && sender->time < BPF_CORE_READ(task, group_leader, start_time))
		sender = NULL; /* for an earlier process of this number */
	if (sender && sender->dying && !main)
		return 0;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		count(0);
		return 0;
	}
	if (find_place(css, &e->place) < 0) {
		bpf_ringbuf_discard(e, 0);
		return 0;
	}
	e->time = bpf_ktime_get_ns();
	e->started = BPF_CORE_READ(task, group_leader, start_time);
	e->peak_rss = BPF_CORE_READ(task, signal, maxrss);
	e->pid = tgid;
	e->status = status;
	e->main = main;
	e->has_sender = !!sender;
	if (sender)
		e->sender = *sender;
	else
		__builtin_memset(&e->sender, 0, sizeof(e->sender));
	BPF_CORE_READ_STR_INTO(&e->comm, task, group_leader, comm);
	bpf_ringbuf_submit(e, 0);
	return 0;
}
