// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Egress: where a packet socket has filled in a burst (port/send_burst.h), the frame that it sends
 * becomes each of the burst's in turn, to be cloned, and is itself again at the end.
 *
 * A packet socket sends frame by frame, and behind each the kernel runs softirqs: on a veth that is an
 * interrupt to the receiver's processor for every frame. Here a burst leaves with softirqs off, and
 * there is one behind it.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "port/send_burst.h"

#define FL_TCX_NEXT (-1) /* TCX_NEXT of newer headers */
#define FL_XMIT_CN 2     /* NET_XMIT_CN of the kernel's: taken, and the queue is nearly full */

/* Set before loading. */
const volatile __u32 shards = 1;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fl_burst);
} bursts SEC(".maps");

/* The kernel's own, as far as this program reads them. */
struct net_device {
	void *nf_hooks_egress;
} __attribute__((preserve_access_index));
struct sk_buff {
	struct net_device *dev;
} __attribute__((preserve_access_index));
extern void *bpf_cast_to_kern_ctx(void *context) __ksym;

/* Netfilter's rules at this egress see no clones: the kernel marks what it has shown them, for as long
 * as this program runs, and a clone bears the mark. */
static int has_netfilter(struct __sk_buff *skb)
{
	const struct sk_buff *packet = bpf_cast_to_kern_ctx(skb);

	return bpf_core_field_exists(packet->dev->nf_hooks_egress) && packet->dev->nf_hooks_egress;
}

static struct fl_burst *burst_of(__u64 socket)
{
	for (__u32 shard = 0; shard < shards && shard < FL_BURST_SHARDS; ++shard) {
		__u32 key = shard; /* the verifier loses count of what is in memory */
		struct fl_burst *burst = bpf_map_lookup_elem(&bursts, &key);

		if (burst && burst->socket == socket)
			return burst;
	}
	return 0;
}

/* Makes the packet this frame. */
static long become(struct __sk_buff *skb, const struct fl_burst_frame *frame)
{
	__u32 size = frame->size;

	if (size < 1 || size > FL_BURST_FRAME)
		return -1;
	if (skb->len != size && bpf_skb_change_tail(skb, size, 0))
		return -1;
	return bpf_skb_store_bytes(skb, 0, frame->bytes, size, 0);
}

/* 0: a copy of the packet has left. It comes by here itself, as nobody's. */
static long put_out(struct __sk_buff *skb)
{
	long error = bpf_clone_redirect(skb, skb->ifindex, 0);

	return error == FL_XMIT_CN ? 0 : error;
}

SEC("tc")
int fl_send_burst(struct __sk_buff *skb)
{
	__u64 socket = bpf_get_socket_cookie(skb);
	struct fl_burst *burst = socket ? burst_of(socket) : 0;
	__u32 size = burst ? burst->size : 0;
	__u32 sent = 0;
	__u32 bytes = 0;

	if (!size || has_netfilter(skb))
		return FL_TCX_NEXT;
	burst->size = 0;
	for (__u32 i = 0; i + 1 < size && i + 1 < FL_BURST_FRAMES; ++i) {
		const struct fl_burst_frame *frame = &burst->frames[i];

		if (become(skb, frame) || put_out(skb))
			continue;
		++sent;
		bytes += frame->size;
	}
	burst->sent = sent;
	burst->sent_bytes = bytes;
	/* The last is what it was when it came: whoever has seen it before this program has seen it. */
	return become(skb, &burst->frames[(size - 1) % FL_BURST_FRAMES]) ? TC_ACT_SHOT : FL_TCX_NEXT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
