/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a packet is to splicing, and the verdict on one that has a rule. Plain C, no libc, no state.
 *
 * Two programs judge every packet and must never disagree: the packet socket's filter, which reads
 * bytes by helper calls, and the one that translates, which reads them in place. Both end in
 * fl_splice_judge(), on the same header bytes:
 *
 *     plain packet         verdict by what the headers say: translate, up or drop
 *     IPv4 options, IPv6   up: the host stack knows what to do with them
 *       extension headers
 *     first fragment       drop, as steering does (steering_rule.h)
 *
 * A plain packet is an IPv4 header without options or an IPv6 header without extension headers, no
 * fragment, with TCP behind it. TCP options play no part: one that contradicts the header's length
 * ends the list, as in every kernel's TCP.
 */
#pragma once

#include "nic/splice/splice_tables.h"
#include "nic/steering/packet_bytes.h"

/* What verdict and tracking need of a segment: host order, as it came. */
struct fl_splice_segment {
	__u32 seq;
	__u32 ack;
	__u32 payload; /* bytes */
	__u32 packets; /* how many a super-packet stands for, else 1 */
	__u16 window;
	__u8 flags; /* FL_TCP_... */
};

/* What the headers don't say. */
struct fl_splice_extent {
	__u32 size;     /* bytes there are from the IP header on, padding included */
	__u32 gso_size; /* payload bytes of each segment of a super-packet; 0: none */
};

FL_INLINE struct fl_address fl_splice_address_v4(const __u8 *bytes)
{
	struct fl_address address = {};

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	address.words[1] = (__u64)fl_get32(bytes) << 32 | 0xffff0000u;
#else
	address.words[1] = 0xffff00000000u | fl_get32(bytes);
#endif
	return address;
}

FL_INLINE struct fl_address fl_splice_address_v6(const __u8 *bytes)
{
	struct fl_address address;
	__u32 parts[4];

	parts[0] = fl_get32(bytes);
	parts[1] = fl_get32(bytes + 4);
	parts[2] = fl_get32(bytes + 8);
	parts[3] = fl_get32(bytes + 12);
	__builtin_memcpy(address.words, parts, sizeof(parts));
	return address;
}

/* The key of a plain packet; 4 bytes of TCP are readable. */
FL_INLINE void fl_splice_read_key(struct fl_splice_key *key, const __u8 *ip, const __u8 *tcp)
{
	if (ip[0] >> 4 == 4) {
		key->source = fl_splice_address_v4(ip + 12);
		key->destination = fl_splice_address_v4(ip + 16);
	} else {
		key->source = fl_splice_address_v6(ip + 8);
		key->destination = fl_splice_address_v6(ip + 24);
	}
	key->source_port = fl_get16(tcp);
	key->destination_port = fl_get16(tcp + 2);
	key->reserved = 0;
}

/*
 * What becomes of a plain packet that has this rule. 20 (IPv4) or 40 (IPv6) bytes at `ip` and 20 at
 * `tcp` are readable. Fills in `segment` when the answer is FL_SPLICE_TRANSLATED.
 *
 * A rule of the other family is none: an IPv6 packet with IPv4-mapped addresses is not the IPv4
 * connection's.
 */
FL_INLINE enum fl_splice_verdict
fl_splice_judge(const struct fl_splice_rule *rule, const __u8 *ip, const __u8 *tcp,
		struct fl_splice_extent extent, struct fl_splice_segment *segment)
{
	__u32 v6 = ip[0] >> 4 == 6;
	__u32 headers = v6 ? FL_IPV6_HEADER : FL_IPV4_HEADER;
	__u32 size = v6 ? FL_IPV6_HEADER + fl_swap16(fl_get16(ip + 4)) : fl_swap16(fl_get16(ip + 2));
	__u32 tcp_header = (tcp[12] >> 4) * 4u;
	__u32 largest = size;

	if (v6 != ((rule->flags & FL_SPLICE_V6) != 0))
		return FL_SPLICE_NO_RULE;
	if (rule->state & FL_SPLICE_SENT_UP)
		return FL_SPLICE_UP_PROCESS;
	headers += tcp_header;
	if (tcp_header < FL_TCP_HEADER || headers > size || size > extent.size)
		return FL_SPLICE_DROP_MALFORMED;
	segment->flags = tcp[13];
	if (segment->flags & FL_TCP_SYN)
		return FL_SPLICE_UP_SYN;
	if (ip[v6 ? 7 : 8] <= 1)
		return FL_SPLICE_DROP_TTL;
	segment->payload = size - headers;
	segment->packets = 1;
	if (extent.gso_size && segment->payload > extent.gso_size) {
		segment->packets = (segment->payload + extent.gso_size - 1) / extent.gso_size;
		largest = headers + extent.gso_size;
	}
	if (largest > rule->mtu)
		return FL_SPLICE_UP_TOO_BIG;
	segment->seq = fl_swap32(fl_get32(tcp + 4));
	segment->ack = fl_swap32(fl_get32(tcp + 8));
	segment->window = fl_swap16(fl_get16(tcp + 14));
	return FL_SPLICE_TRANSLATED;
}

FL_INLINE int fl_splice_goes_up(enum fl_splice_verdict verdict)
{
	return verdict == FL_SPLICE_NO_RULE || verdict == FL_SPLICE_UP_SYN ||
	       verdict == FL_SPLICE_UP_OPTIONS || verdict == FL_SPLICE_UP_TOO_BIG ||
	       verdict == FL_SPLICE_UP_ICMP || verdict == FL_SPLICE_UP_PROCESS;
}

/* The tc program keeps it from the kernel, whose answer to a segment of no connection of its own is a
 * RST. What goes up all the same is in the packet socket already, if there is a process. */
FL_INLINE int fl_splice_hidden_from_kernel(enum fl_splice_verdict verdict)
{
	return !fl_splice_goes_up(verdict) || verdict == FL_SPLICE_UP_OPTIONS ||
	       verdict == FL_SPLICE_UP_TOO_BIG || verdict == FL_SPLICE_UP_PROCESS;
}
