/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Numbers and fields of packet headers. Plain C, no libc: compiled into the kernel programs and into
 * user space.
 */
#pragma once

#include "nic/steering/flow_hash.h"

#define FL_INLINE static inline __attribute__((always_inline))

#define FL_ETH_P_IP 0x0800
#define FL_ETH_P_IPV6 0x86dd

#define FL_PROTOCOL_HOP_BY_HOP 0
#define FL_PROTOCOL_ICMP 1
#define FL_PROTOCOL_TCP 6
#define FL_PROTOCOL_ROUTING 43
#define FL_PROTOCOL_FRAGMENT 44
#define FL_PROTOCOL_ICMPV6 58
#define FL_PROTOCOL_DESTINATION_OPTIONS 60

FL_INLINE __u16 fl_be16(const __u8 *bytes)
{
	return (__u16)(bytes[0] << 8 | bytes[1]);
}

FL_INLINE __u32 fl_be32(const __u8 *bytes)
{
	return (__u32)fl_be16(bytes) << 16 | fl_be16(bytes + 2);
}

FL_INLINE struct fl_address fl_address_v4(const __u8 *bytes)
{
	struct fl_address address = {};
	__u8 *to = (__u8 *)address.words;

	to[10] = to[11] = 0xff;
	__builtin_memcpy(to + 12, bytes, 4);
	return address;
}

FL_INLINE struct fl_address fl_address_v6(const __u8 *bytes)
{
	struct fl_address address;

	__builtin_memcpy(address.words, bytes, 16);
	return address;
}
