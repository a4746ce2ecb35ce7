/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The splice rule: makes of a segment of one connection the same segment of the other. Pure functions
 * over header bytes, plain C, shared by the tc program, the XDP program and user space.
 *
 *     addresses, ports        the other connection's
 *     SEQ, ACK, SACK edges    shifted by a constant each way, modulo 2^32
 *     TSval, TSecr            likewise
 *     window                  rescaled
 *     TTL, hop limit          one less
 *     all else                untouched: flags, URG pointer, ECN, DSCP, flow label, unknown options
 *
 * The payload is never read. A checksum is updated by what its words changed by (RFC 1624 eqn 3):
 * HC' = ~(~HC + sum of (~m + m')). Sums are of 16-bit words as they stand in memory, so that neither
 * words nor sums are swapped (RFC 1071 section 2(B)); 32-bit words are summed whole, since 2^16 is 1
 * modulo 0xffff. A word at an odd offset from the TCP header counts with its bytes swapped, which is
 * its sum times 2^8.
 *
 * Every access to packet bytes is compared with `end` first, in the form the kernel's verifier
 * follows.
 */
#pragma once

#include "nic/splice/splice_packet.h"

/* NOP NOP TIMESTAMPS 10, and NOP NOP SACK: the layouts everyone sends (RFC 7323 appendix A). */
#define FL_NOP_NOP_TIMESTAMPS fl_swap32(0x0101080au)
#define FL_NOP_NOP_SACK fl_swap32(0x01010500u)

/* What the TCP checksum's words have changed by, folded to 32 bits. */
struct fl_splice_sums {
	__u32 pseudo; /* addresses */
	__u32 rest;   /* TCP header */
};

/* The checksum after its words changed by `sum`; in memory order, as is the result. */
FL_INLINE __u16 fl_checksum_update(__u16 checksum, __u64 sum)
{
	return (__u16)~fl_fold16(sum + (0xffff0000u | (__u16)~checksum));
}

/* Adds to a 32-bit field. Returns what it changed by. */
FL_INLINE __u64 fl_shift32(__u8 *field, __u32 offset)
{
	__u32 from = fl_get32(field);
	__u32 to = fl_swap32(fl_swap32(from) + offset);

	fl_put32(field, to);
	return (__u64)(__u32)~from + to;
}

/* Never promises more room than the receiver has: rounds down and saturates. */
FL_INLINE __u16 fl_rescale_window(__u16 window, __s8 shift)
{
	__u32 scaled;

	if (shift <= 0)
		return (__u16)(window >> (-shift & 15));
	scaled = (__u32)window << (shift & 15);
	return scaled > 0xffff ? 0xffff : (__u16)scaled;
}

/* TSecr means nothing without an acknowledgement, and is zero: RFC 7323 section 3.2. */
FL_INLINE __u64 fl_shift_timestamps(const struct fl_splice_rule *rule, __u8 *values,
				    __u32 acknowledges)
{
	return fl_shift32(values, rule->ts_value_offset) +
	       fl_shift32(values + 4, rule->ts_echo_offset * acknowledges);
}

/* `count` blocks, at most four: D-SACK's first block is one like the others (RFC 2883). */
FL_INLINE __u64 fl_shift_sack(const struct fl_splice_rule *rule, __u8 *blocks, __u32 count,
			      const void *end)
{
	__u64 sum = 0;
	__u32 i;

	for (i = 0; i < 4; ++i) {
		if (i >= count || blocks + (i + 1) * FL_SACK_BLOCK > (const __u8 *)end)
			break;
		sum += fl_shift32(blocks + i * FL_SACK_BLOCK, rule->ack_offset);
		sum += fl_shift32(blocks + i * FL_SACK_BLOCK + 4, rule->ack_offset);
	}
	return sum;
}

/* An option of `length` bytes, checked to be there. */
FL_INLINE __u64 fl_shift_option(const struct fl_splice_rule *rule, __u8 *option, __u32 length,
				__u32 acknowledges, const void *end)
{
	if (option[0] == FL_OPTION_TIMESTAMPS && length == FL_OPTION_TIMESTAMPS_SIZE) {
		if (option + FL_OPTION_TIMESTAMPS_SIZE > (const __u8 *)end)
			return 0;
		return fl_shift_timestamps(rule, option + 2, acknowledges);
	}
	if (option[0] == FL_OPTION_SACK && (length - 2) % FL_SACK_BLOCK == 0)
		return fl_shift_sack(rule, option + 2, (length - 2) / FL_SACK_BLOCK, end);
	return 0;
}

/*
 * Any layout (RFC 9293 section 3.1). A length below 2 or beyond the header ends the list.
 *
 * For the verifier: `at` is masked, which changes nothing, to show its bound. And a zero is added
 * which it can't know to be one, so that all paths to the loop and to a round of it look alike and it
 * follows only one of them.
 */
FL_INLINE __u64 fl_shift_options(const struct fl_splice_rule *rule, __u8 *tcp, __u32 header_size,
				 __u32 acknowledges, const void *end)
{
	__u32 at = FL_TCP_HEADER;
	__u64 sum = 0;
	int i;

	tcp += rule->reserved;
#pragma clang loop unroll(disable)
	for (i = 0; i < FL_MAX_OPTIONS; ++i) {
		__u8 *option;
		__u32 length;

		at = (at + rule->reserved) & 63;
		option = tcp + at;
		if (at >= header_size || option + 1 > (const __u8 *)end || option[0] == FL_OPTION_END)
			break;
		if (option[0] == FL_OPTION_NOP) {
			++at;
			continue;
		}
		if (option + 2 > (const __u8 *)end || at + 2 > header_size)
			break;
		length = option[1];
		if (length < 2 || at + length > header_size)
			break;
		sum += fl_shift_option(rule, option, length, acknowledges, end) << (at % 2 * 8);
		at += length;
	}
	return sum;
}

/* Timestamps alone, and with SACK behind them, where everyone puts them; any other layout through
 * fl_shift_options(). */
FL_INLINE __u64 fl_shift_common_options(const struct fl_splice_rule *rule, __u8 *tcp,
					__u32 header_size, __u32 acknowledges, const void *end)
{
	__u8 *options = tcp + FL_TCP_HEADER;
	__u32 sack = header_size - FL_TCP_HEADER - 16;

	if (header_size == FL_TCP_HEADER)
		return 0;
	if (header_size >= FL_TCP_HEADER + 12) {
		if (options + 12 > (const __u8 *)end)
			return 0;
		if (fl_get32(options) == FL_NOP_NOP_TIMESTAMPS) {
			if (header_size == FL_TCP_HEADER + 12)
				return fl_shift_timestamps(rule, options + 4, acknowledges);
			if (options + 16 > (const __u8 *)end)
				return 0;
			if (sack % FL_SACK_BLOCK == 0 &&
			    fl_get32(options + 12) == (FL_NOP_NOP_SACK | fl_swap32(sack + 2)))
				return fl_shift_timestamps(rule, options + 4, acknowledges) +
				       fl_shift_sack(rule, options + 16, sack / FL_SACK_BLOCK, end);
		}
	}
	return fl_shift_options(rule, tcp, header_size, acknowledges, end);
}

/* `tcp` has its whole header. Returns what its words have changed by. */
FL_INLINE __u64 fl_splice_translate_tcp(const struct fl_splice_rule *rule, __u8 *tcp,
					__u32 header_size, const void *end)
{
	__u32 acknowledges = (tcp[13] & FL_TCP_ACK) / FL_TCP_ACK;
	__u64 sum = rule->port_sum;
	__u16 window = fl_get16(tcp + 14);
	__u16 rescaled = fl_swap16(fl_rescale_window(fl_swap16(window), rule->window_shift));

	fl_put16(tcp, rule->source_port);
	fl_put16(tcp + 2, rule->destination_port);
	fl_put16(tcp + 14, rescaled);
	sum += (__u64)(__u16)~window + rescaled;
	sum += fl_shift32(tcp + 4, rule->seq_offset);
	sum += fl_shift32(tcp + 8, rule->ack_offset * acknowledges);
	/* Last, when there is little else for the verifier to follow through the loop. */
	return sum + fl_shift_common_options(rule, tcp, header_size, acknowledges, end);
}

FL_INLINE void fl_splice_translate_ipv4(const struct fl_splice_rule *rule, __u8 *ip)
{
	__u16 from = fl_get16(ip + 8); /* TTL and protocol */
	__u16 to = (__u16)(from - fl_swap16((__u16)0x0100));

	fl_put16(ip + 8, to);
	fl_put32(ip + 12, fl_get32((const __u8 *)rule->source.words + 12));
	fl_put32(ip + 16, fl_get32((const __u8 *)rule->destination.words + 12));
	fl_put16(ip + 10, fl_checksum_update(fl_get16(ip + 10), (__u64)rule->address_sum +
									(__u16)~from + to));
}

FL_INLINE void fl_splice_translate_ipv6(const struct fl_splice_rule *rule, __u8 *ip)
{
	const __u8 *source = (const __u8 *)rule->source.words;
	const __u8 *destination = (const __u8 *)rule->destination.words;
	int i;

	--ip[7];
#pragma clang loop unroll(full)
	for (i = 0; i < 16; i += 4) {
		fl_put32(ip + 8 + i, fl_get32(source + i));
		fl_put32(ip + 24 + i, fl_get32(destination + i));
	}
}

/*
 * Translates a plain packet which fl_splice_judge() said to. Nonzero: its headers reach beyond `end`,
 * and nothing was changed. The TCP checksum is the caller's: fl_splice_complete_checksum() or the
 * kernel's helper.
 */
FL_INLINE int fl_splice_translate(const struct fl_splice_rule *rule, __u8 *ip, __u8 *tcp,
				  const void *end, struct fl_splice_sums *sums)
{
	int v6 = (rule->flags & FL_SPLICE_V6) != 0;
	__u32 header_size;

	if (ip + (v6 ? FL_IPV6_HEADER : FL_IPV4_HEADER) > (const __u8 *)end ||
	    tcp + FL_TCP_HEADER > (const __u8 *)end)
		return -1;
	header_size = (tcp[12] >> 4) * 4u;
	if (tcp + header_size > (const __u8 *)end)
		return -1;
	fl_forget(header_size);
	if (v6)
		fl_splice_translate_ipv6(rule, ip);
	else
		fl_splice_translate_ipv4(rule, ip);
	sums->pseudo = rule->address_sum;
	sums->rest = fl_fold32(fl_splice_translate_tcp(rule, tcp, header_size, end));
	return 0;
}

/* The TCP checksum, when it is whole, or (`partial`) when it holds the pseudo header's folded sum and
 * someone behind us completes it. */
FL_INLINE void fl_splice_complete_checksum(__u8 *tcp, struct fl_splice_sums sums, int partial)
{
	__u16 checksum = fl_get16(tcp + 16);

	if (partial)
		checksum = fl_fold16((__u64)checksum + sums.pseudo);
	else
		checksum = fl_checksum_update(checksum, (__u64)sums.pseudo + sums.rest);
	fl_put16(tcp + 16, checksum);
}

/* The key of the other direction's rule. */
FL_INLINE void fl_splice_reverse_key(struct fl_splice_key *key, const struct fl_splice_rule *rule)
{
	key->source = rule->destination;
	key->destination = rule->source;
	key->source_port = rule->destination_port;
	key->destination_port = rule->source_port;
	key->reserved = 0;
}
