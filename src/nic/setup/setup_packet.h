/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A segment's addresses and TCP options, as far as connection setup has to do with them. Plain C, no
 * libc.
 */
#pragma once

#include "nic/steering/segment_copy.h"

#define FL_OPTION_MSS 2
#define FL_OPTION_WINDOW_SCALE 3
#define FL_OPTION_SACK_PERMITTED 4
#define FL_OPTION_MD5 19
#define FL_OPTION_AO 29
#define FL_OPTION_FAST_OPEN 34

/* RFC 7323 section 2.3: a larger shift is read as this. */
#define FL_MAX_WINDOW_SCALE 14

/* fl_setup_syn.flags */
#define FL_SYN_MSS 0x01
#define FL_SYN_WINDOW_SCALE 0x02
#define FL_SYN_SACK 0x04
#define FL_SYN_TIMESTAMPS 0x08
#define FL_SYN_REFUSED 0x10   /* Fast Open, MD5 or AO */
#define FL_SYN_MALFORMED 0x20 /* a length below 2 or beyond the header: the rest was not read */

/* A segment's options, host order. */
struct fl_tcp_options {
	__u32 ts_value;
	__u32 ts_echo;
	__u32 mss;
	__u32 window_scale;
	__u32 flags;
};

FL_INLINE void fl_setup_read_tuple(const struct fl_segment *packet,
				   struct fl_setup_tuple *tuple)
{
	if (packet->ether_type == FL_ETH_P_IPV6) {
		tuple->source = fl_address_v6(packet->ip + 8);
		tuple->destination = fl_address_v6(packet->ip + 24);
	} else {
		tuple->source = fl_address_v4(packet->ip + 12);
		tuple->destination = fl_address_v4(packet->ip + 16);
	}
	tuple->source_port = fl_get16(packet->tcp);
	tuple->destination_port = fl_get16(packet->tcp + 2);
}

/* An option of `length` bytes. A known kind of another length is one of an unknown kind: skipped. */
FL_INLINE void fl_parse_option(const __u8 *option, __u32 length, struct fl_tcp_options *out)
{
	__u32 kind = option[0];

	if (kind == FL_OPTION_MSS && length == 4) {
		out->mss = fl_be16(option + 2);
		out->flags |= FL_SYN_MSS;
	} else if (kind == FL_OPTION_WINDOW_SCALE && length == 3) {
		out->window_scale =
			option[2] > FL_MAX_WINDOW_SCALE ? FL_MAX_WINDOW_SCALE : option[2];
		out->flags |= FL_SYN_WINDOW_SCALE;
	} else if (kind == FL_OPTION_SACK_PERMITTED && length == 2) {
		out->flags |= FL_SYN_SACK;
	} else if (kind == FL_OPTION_TIMESTAMPS && length == FL_OPTION_TIMESTAMPS_SIZE) {
		/* Byte by byte: the verifier wants words on the stack aligned. */
		out->ts_value = fl_be32(option + 2);
		out->ts_echo = fl_be32(option + 6);
		out->flags |= FL_SYN_TIMESTAMPS;
	} else if (kind == FL_OPTION_FAST_OPEN || kind == FL_OPTION_MD5 || kind == FL_OPTION_AO) {
		out->flags |= FL_SYN_REFUSED;
	}
}

/* A function that the verifier looks at by itself, once, and not again on every path to it. */
#ifdef __bpf__
#define FL_VERIFIED_ALONE __attribute__((noinline))
#else
#define FL_VERIFIED_ALONE static inline
#endif

/*
 * As wire::TcpOptions::parse() reads them. Returns 0.
 *
 * `at` is masked for the verifier, which it tells its bound, and changes nothing.
 */
FL_VERIFIED_ALONE int fl_parse_options(const struct fl_segment *packet,
				       struct fl_tcp_options *out)
{
	__u32 at = FL_TCP_HEADER;
	int i;

	if (!packet || !out)
		return 0;
	out->ts_value = out->ts_echo = out->mss = out->window_scale = out->flags = 0;
#pragma clang loop unroll(disable)
	for (i = 0; i < FL_MAX_OPTIONS; ++i) {
		const __u8 *option;
		__u32 length;

		at &= 63;
		option = packet->tcp + at;
		if (at >= packet->tcp_size || option[0] == FL_OPTION_END)
			break;
		if (option[0] == FL_OPTION_NOP) {
			++at;
			continue;
		}
		length = at + 1 < packet->tcp_size ? option[1] : 0;
		if (length < 2 || at + length > packet->tcp_size) {
			out->flags |= FL_SYN_MALFORMED;
			break;
		}
		fl_parse_option(option, length, out);
		at += length;
	}
	return 0;
}
