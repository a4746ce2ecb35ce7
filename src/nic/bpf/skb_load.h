/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * fl_load() for programs on skbs: reads a packet's bytes from its IP header on, wherever the skb has
 * them. bpf_skb_load_bytes_relative() counts from the IP header but sees the linear part only;
 * bpf_skb_load_bytes() sees all, but counts from where skb->data happens to be.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_helpers.h>

#include "nic/steering/packet_fields.h"

struct fl_skb {
	struct __sk_buff *skb;
	/* Of the IP header from skb->data: ETH_HLEN in tc and in a packet socket's filter, 0 in a
	 * fan-out program. */
	__u32 ip;
};

FL_INLINE int fl_load(void *packet, __u32 offset, void *to, __u32 size)
{
	const struct fl_skb *from = packet;

	if (!bpf_skb_load_bytes_relative(from->skb, offset, to, size, BPF_HDR_START_NET))
		return 0;
	return bpf_skb_load_bytes(from->skb, from->ip + offset, to, size) != 0;
}
