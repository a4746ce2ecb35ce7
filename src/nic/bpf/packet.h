/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel programs have in common: how they read a packet, and what they do with one.
 *
 * fl_load() reads a packet's bytes from its IP header on, wherever they are.
 * Of an skb bpf_skb_load_bytes_relative() counts from the IP header but sees the linear part only;
 * bpf_skb_load_bytes() sees all, but counts from where skb->data happens to be.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_helpers.h>

#include "nic/steering/packet_fields.h"

/* One of the two. */
struct fl_source {
	struct __sk_buff *skb;
	struct xdp_md *xdp;
	/* Of the IP header from the packet's first byte as the program sees it: ETH_HLEN in XDP, tc
	 * and a packet socket's filter, 0 in a fan-out program. */
	__u32 ip;
};

FL_INLINE int fl_load(void *packet, __u32 offset, void *to, __u32 size)
{
	const struct fl_source *from = packet;

	if (from->xdp)
		return bpf_xdp_load_bytes(from->xdp, from->ip + offset, to, size) != 0;
	if (!bpf_skb_load_bytes_relative(from->skb, offset, to, size, BPF_HDR_START_NET))
		return 0;
	return bpf_skb_load_bytes(from->skb, from->ip + offset, to, size) != 0;
}

/* Set before loading. */
const volatile __u8 xdp_redirects = 0;

/* XDP: out where it came in. XDP_TX of a veth does not wake an end that has no XDP program itself, a
 * redirect wakes each that receives by NAPI. */
FL_INLINE int fl_send_back(struct xdp_md *xdp)
{
	return xdp_redirects ? (int)bpf_redirect(xdp->ingress_ifindex, 0) : XDP_TX;
}

/*
 * fl_splice_ingress to fl_ingress: the packet had a rule when it came, and the host has its copy, if
 * anyone. Nobody else looks at tc_index.
 */
FL_INLINE void fl_note_rule(struct __sk_buff *skb)
{
	skb->tc_index = 1;
}

FL_INLINE int fl_had_rule(const struct __sk_buff *skb)
{
	return skb->tc_index != 0;
}
