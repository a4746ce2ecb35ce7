/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The headers of a TCP segment, read into a copy of fixed size, verified there, and made those of the
 * segment that answers it. Plain C, no libc: compiled into the kernel programs and into user space.
 *
 *     ip    20 (IPv4) or 40 bytes
 *     tcp   header and options, 20 to 60 bytes; zeroes behind them, so that sums and options need
 *           no bound but the array's
 *
 * The including file defines fl_load() (packet_parser.h): offset counts from the IP header.
 */
#pragma once

#include "nic/steering/packet_bytes.h"
#include "nic/steering/packet_parser.h"

/* RFC 1700 */
#define FL_HOP_LIMIT 64

struct fl_segment {
	__u8 ip[FL_IPV6_HEADER] __attribute__((aligned(8)));
	/* Room for an option that begins at any offset below 64. */
	__u8 tcp[80] __attribute__((aligned(8)));
	__u16 ether_type;
	__u32 ip_size;
	__u32 tcp_size; /* header and options */
	__u32 payload;  /* bytes behind them */
};

/* The fixed headers of a plain packet (fl_is_plain()) of `size` bytes, padding included. Nonzero: it
 * is none, or its lengths contradict each other. Its options are for fl_segment_read_options(). */
FL_INLINE int fl_segment_read(void *packet, __u16 ether_type, __u32 size,
			      struct fl_segment *out)
{
	__u32 length;

	__builtin_memset(out, 0, sizeof(*out));
	out->ether_type = ether_type;
	if (ether_type == FL_ETH_P_IPV6) {
		if (fl_load(packet, 0, out->ip, FL_IPV6_HEADER) || !fl_is_plain(out->ip, ether_type) ||
		    fl_load(packet, FL_IPV6_HEADER, out->tcp, FL_TCP_HEADER))
			return -1;
		out->ip_size = FL_IPV6_HEADER;
		length = FL_IPV6_HEADER + fl_be16(out->ip + 4);
	} else {
		if (ether_type != FL_ETH_P_IP || fl_load(packet, 0, out->ip, FL_IPV4_HEADER) ||
		    !fl_is_plain(out->ip, ether_type) ||
		    fl_load(packet, FL_IPV4_HEADER, out->tcp, FL_TCP_HEADER))
			return -1;
		out->ip_size = FL_IPV4_HEADER;
		length = fl_be16(out->ip + 2);
	}
	out->tcp_size = (out->tcp[12] >> 4) * 4u;
	if (out->tcp_size < FL_TCP_HEADER || out->ip_size + out->tcp_size > length || length > size)
		return -1;
	out->payload = length - out->ip_size - out->tcp_size;
	return 0;
}

FL_INLINE int fl_segment_read_options(void *packet, struct fl_segment *out)
{
	__u32 size = out->tcp_size - FL_TCP_HEADER;

	if (size == 0)
		return 0;
	fl_forget(size);
	if (size < 1 || size > FL_MAX_OPTIONS)
		return -1;
	return fl_load(packet, out->ip_size + FL_TCP_HEADER, out->tcp + FL_TCP_HEADER, size);
}

/* What is known of a segment's checksums. */
enum fl_checksum {
	FL_CHECKSUM_TO_VERIFY,
	FL_CHECKSUM_TRUSTED,       /* verified already, or never to be */
	FL_CHECKSUM_MAYBE_PARTIAL, /* to verify, unless TCP's holds the pseudo header's sum: completed
				    * behind us, in the answer as well */
};

/* Of 16-bit words as they stand in memory, not folded. */
FL_INLINE __u64 fl_segment_sum(const __u8 *bytes, __u32 size)
{
	__u64 sum = 0;
	__u32 at;

#pragma clang loop unroll(full)
	for (at = 0; at < size; at += 4)
		sum += fl_get32(bytes + at);
	return sum;
}

/* The same before and after: addresses change places, the length stays. */
FL_INLINE __u64 fl_segment_pseudo_sum(const struct fl_segment *segment)
{
	__u64 sum = fl_swap16((__u16)FL_PROTOCOL_TCP);

	sum += fl_swap16((__u16)(segment->tcp_size + segment->payload));
	if (segment->ether_type == FL_ETH_P_IPV6)
		return sum + fl_segment_sum(segment->ip + 8, 32);
	return sum + fl_segment_sum(segment->ip + 12, 8);
}

/* Of a segment without payload. */
FL_INLINE int fl_segment_sum_is_right(const struct fl_segment *segment)
{
	return fl_fold16(fl_segment_pseudo_sum(segment) +
			 fl_segment_sum(segment->tcp, FL_TCP_HEADER + FL_MAX_OPTIONS)) == 0xffff;
}

FL_INLINE int fl_segment_sum_is_partial(const struct fl_segment *segment)
{
	return fl_get16(segment->tcp + 16) == fl_fold16(fl_segment_pseudo_sum(segment));
}

/* Nonzero: a checksum is wrong. `partial`: the TCP header has the pseudo header's sum instead. */
FL_INLINE int fl_segment_verify(const struct fl_segment *segment, enum fl_checksum checksum,
				int *partial)
{
	*partial = 0;
	if (checksum == FL_CHECKSUM_TRUSTED)
		return 0;
	if (segment->ether_type == FL_ETH_P_IP &&
	    fl_fold16(fl_segment_sum(segment->ip, FL_IPV4_HEADER)) != 0xffff)
		return -1;
	if (fl_segment_sum_is_right(segment))
		return 0;
	*partial = checksum == FL_CHECKSUM_MAYBE_PARTIAL && fl_segment_sum_is_partial(segment);
	return *partial ? 0 : -1;
}

/* The IP header of an answer as long as the packet: addresses change places, all else is as ours is. */
FL_INLINE void fl_segment_turn_ip(struct fl_segment *segment)
{
	__u8 *ip = segment->ip;
	__u8 address[16] __attribute__((aligned(8)));
	__u32 word;

	if (segment->ether_type == FL_ETH_P_IPV6) {
		fl_put32(ip, fl_swap32(0x60000000u));
		ip[7] = FL_HOP_LIMIT;
		__builtin_memcpy(address, ip + 8, 16);
		__builtin_memcpy(ip + 8, ip + 24, 16);
		__builtin_memcpy(ip + 24, address, 16);
		return;
	}
	ip[1] = 0;
	/* ID 0 with DF: an atomic datagram (RFC 6864 section 4.1). */
	fl_put32(ip + 4, fl_swap32(0x00004000u));
	ip[8] = FL_HOP_LIMIT;
	word = fl_get32(ip + 12);
	fl_put32(ip + 12, fl_get32(ip + 16));
	fl_put32(ip + 16, word);
	fl_put16(ip + 10, 0);
	fl_put16(ip + 10, (__u16)~fl_fold16(fl_segment_sum(ip, FL_IPV4_HEADER)));
}

/* Of a segment without payload whose checksum is 0; `pseudo_sum` may be that of what it answers.
 * `partial`: as fl_segment_verify() found it there. */
FL_INLINE void fl_segment_set_sum(struct fl_segment *segment, __u64 pseudo_sum, int partial)
{
	__u64 sum = pseudo_sum;

	if (!partial)
		sum = (__u16)~fl_fold16(sum + fl_segment_sum(segment->tcp,
							     FL_TCP_HEADER + FL_MAX_OPTIONS));
	fl_put16(segment->tcp + 16, fl_fold16(sum));
}
