/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packet headers read and written in place. Plain C, no libc: compiled into the kernel programs and
 * into user space.
 */
#pragma once

#include "nic/steering/packet_fields.h"

#define FL_IPV4_HEADER 20
#define FL_IPV6_HEADER 40
#define FL_TCP_HEADER 20

#define FL_TCP_FIN 0x01
#define FL_TCP_SYN 0x02
#define FL_TCP_RST 0x04
#define FL_TCP_ACK 0x10

/* Nonzero: a SYN alone, ECN apart. */
FL_INLINE int fl_is_syn(__u8 flags)
{
	return (flags & (FL_TCP_ACK | FL_TCP_SYN | FL_TCP_RST)) == FL_TCP_SYN;
}

#define FL_OPTION_END 0
#define FL_OPTION_NOP 1
#define FL_OPTION_SACK 5
#define FL_OPTION_TIMESTAMPS 8

#define FL_OPTION_TIMESTAMPS_SIZE 10
#define FL_SACK_BLOCK 8
#define FL_MAX_OPTIONS 40

/* Fields of a packet as they stand in memory. The kernel loads and stores words at any address on
 * the machines we run on, and its verifier wants them whole; user space asks the compiler. */
#ifdef __bpf__
/* Makes the compiler forget what it knows of a value, so that it keeps a comparison which the verifier
 * needs and it does not. */
#define fl_forget(value) __asm__("" : "+r"(value))

typedef __u16 __attribute__((may_alias)) fl_field16;
typedef __u32 __attribute__((may_alias)) fl_field32;

FL_INLINE __u16 fl_get16(const __u8 *field)
{
	return *(const fl_field16 *)field;
}

FL_INLINE __u32 fl_get32(const __u8 *field)
{
	return *(const fl_field32 *)field;
}

FL_INLINE void fl_put16(__u8 *field, __u16 value)
{
	*(fl_field16 *)field = value;
}

FL_INLINE void fl_put32(__u8 *field, __u32 value)
{
	*(fl_field32 *)field = value;
}
#else
#define fl_forget(value) ((void)(value))

FL_INLINE __u16 fl_get16(const __u8 *field)
{
	__u16 value;

	__builtin_memcpy(&value, field, sizeof(value));
	return value;
}

FL_INLINE __u32 fl_get32(const __u8 *field)
{
	__u32 value;

	__builtin_memcpy(&value, field, sizeof(value));
	return value;
}

FL_INLINE void fl_put16(__u8 *field, __u16 value)
{
	__builtin_memcpy(field, &value, sizeof(value));
}

FL_INLINE void fl_put32(__u8 *field, __u32 value)
{
	__builtin_memcpy(field, &value, sizeof(value));
}
#endif

/* Between network and host order, either way. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define fl_swap16(value) __builtin_bswap16(value)
#define fl_swap32(value) __builtin_bswap32(value)
#else
#define fl_swap16(value) ((__u16)(value))
#define fl_swap32(value) ((__u32)(value))
#endif

/* A one's-complement sum of 16-bit words, its carries added back in (RFC 1071). */
FL_INLINE __u32 fl_fold32(__u64 sum)
{
	sum = (sum & 0xffffffffu) + (sum >> 32);
	return (__u32)((sum & 0xffffffffu) + (sum >> 32));
}

FL_INLINE __u16 fl_fold16(__u64 sum)
{
	__u32 folded = fl_fold32(sum);

	folded = (folded & 0xffffu) + (folded >> 16);
	return (__u16)((folded & 0xffffu) + (folded >> 16));
}

/* Nonzero for a plain packet: an IPv4 header without options or an IPv6 header without extension
 * headers, no fragment, TCP behind it. 20 (IPv4) or 40 bytes (IPv6) are readable. */
FL_INLINE int fl_is_plain(const __u8 *ip, __u16 ether_type)
{
	if (ether_type == FL_ETH_P_IP)
		return ip[0] == 0x45 && ip[9] == FL_PROTOCOL_TCP &&
		       !(fl_get16(ip + 6) & fl_swap16((__u16)0x3fff));
	return ether_type == FL_ETH_P_IPV6 && ip[0] >> 4 == 6 && ip[6] == FL_PROTOCOL_TCP;
}
