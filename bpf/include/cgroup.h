/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which container a task belongs to. The memory controller's cgroup is asked,
 * because bpf_get_current_cgroup_id() knows version 2 only and so names its
 * root on hosts of version 1. Names are copied out at once: when userspace
 * reads of an exit, the cgroup is often gone.
 */
#ifndef TAPIO_CGROUP_H
#define TAPIO_CGROUP_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define NAME_LEN 128  /* "cri-containerd-" + 64 hex + ".scope" is 85; a power of two */
#define PARENT_LEN 96 /* "kubelet-kubepods-besteffort-pod" + 36 + ".slice" is 73 */
#define LEVELS 6    /* a container's own cgroups below it, itself, and what is above it */

struct place {
	__u64 cgroup;            /* inode of the cgroup's directory */
	char name[NAME_LEN];     /* of the container's cgroup */
	char parent[PARENT_LEN]; /* of the one above it: the pod's */
};

static __always_inline struct cgroup_subsys_state *memory_css(struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct cgroup_subsys_state *css = NULL;
	__u64 at = bpf_core_field_offset(struct css_set, subsys) +
		   bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id) * sizeof(void *);

	if (set)
		bpf_probe_read_kernel(&css, sizeof(css), (void *)set + at);
	return css;
}

/*
 * names_container reports whether the name, n bytes with its end, holds 64
 * digits of a container ID. That of a pod's systemd slice may be as long.
 */
static __always_inline bool names_container(const char *name, long n)
{
	return n > 64 && n <= NAME_LEN && name[(n - 4) & (NAME_LEN - 1)] != 'i';
}

/* find_place fills in the innermost container around css, or returns -1. */
static __always_inline int find_place(struct cgroup_subsys_state *css, struct place *out)
{
	for (int i = 0; i < LEVELS && css; i++) {
		struct kernfs_node *kn = BPF_CORE_READ(css, cgroup, kn);
		long n = bpf_probe_read_kernel_str(out->name, sizeof(out->name), BPF_CORE_READ(kn, name));
		struct cgroup_subsys_state *above = BPF_CORE_READ(css, parent);

		if (names_container(out->name, n)) {
			out->cgroup = BPF_CORE_READ(kn, id);
			bpf_probe_read_kernel_str(out->parent, sizeof(out->parent),
						  BPF_CORE_READ(above, cgroup, kn, name));
			return i;
		}
		css = above;
	}
	return -1;
}

/* inner_pid returns the number of a process in its own PID namespace. */
static __always_inline int inner_pid(struct pid *pid)
{
	unsigned int level = BPF_CORE_READ(pid, level);
	int nr = 0;

	bpf_probe_read_kernel(&nr, sizeof(nr), (void *)pid + bpf_core_field_offset(struct pid, numbers) +
			      level * bpf_core_type_size(struct upid) + bpf_core_field_offset(struct upid, nr));
	return nr;
}

#endif
