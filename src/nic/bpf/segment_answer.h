/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A segment becomes its answer where it came in: what was made of the copy of its headers
 * (nic/steering/segment_copy.h) is written over them, and the link's addresses change places.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_helpers.h>

#include "nic/bpf/packet.h"
#include "nic/steering/segment_copy.h"

/* Of the whole TCP header, as the verifier wants to see it: 20 to 60. */
static __always_inline __u32 tcp_size_of(const struct fl_segment *segment)
{
	__u32 size = segment->tcp_size;

	fl_forget(size);
	return size < FL_TCP_HEADER || size > FL_TCP_HEADER + FL_MAX_OPTIONS ? FL_TCP_HEADER : size;
}

static __always_inline void swap_macs(__u8 *swapped, const __u8 *macs)
{
	__builtin_memcpy(swapped, macs + ETH_ALEN, ETH_ALEN);
	__builtin_memcpy(swapped + ETH_ALEN, macs, ETH_ALEN);
}

/* With what has changed, a whole sum that the skb carries (CHECKSUM_COMPLETE) stays right. */
static __always_inline int write_skb(struct __sk_buff *skb, struct fl_segment *segment)
{
	__u8 macs[2 * ETH_ALEN];
	__u8 swapped[2 * ETH_ALEN];

	if (bpf_skb_load_bytes(skb, 0, macs, sizeof(macs)))
		return -1;
	swap_macs(swapped, macs);
	return bpf_skb_store_bytes(skb, 0, swapped, sizeof(swapped), BPF_F_RECOMPUTE_CSUM) ||
	       bpf_skb_store_bytes(skb, ETH_HLEN, segment->ip,
				   segment->ip_size == FL_IPV6_HEADER ? FL_IPV6_HEADER : FL_IPV4_HEADER,
				   BPF_F_RECOMPUTE_CSUM) ||
	       bpf_skb_store_bytes(skb, ETH_HLEN + segment->ip_size, segment->tcp, tcp_size_of(segment),
				   BPF_F_RECOMPUTE_CSUM);
}

static __always_inline int write_xdp(struct xdp_md *xdp, struct fl_segment *segment)
{
	__u8 macs[2 * ETH_ALEN];
	__u8 swapped[2 * ETH_ALEN];

	if (bpf_xdp_load_bytes(xdp, 0, macs, sizeof(macs)))
		return -1;
	swap_macs(swapped, macs);
	return bpf_xdp_store_bytes(xdp, 0, swapped, sizeof(swapped)) ||
	       bpf_xdp_store_bytes(xdp, ETH_HLEN, segment->ip,
				   segment->ip_size == FL_IPV6_HEADER ? FL_IPV6_HEADER
								     : FL_IPV4_HEADER) ||
	       bpf_xdp_store_bytes(xdp, ETH_HLEN + segment->ip_size, segment->tcp,
				   tcp_size_of(segment));
}
