/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connection setup: makes of a SYN the SYN-ACK that answers it, and of the ACK that answers that a
 * new connection. Pure functions over a copy of the headers, plain C, shared by the tc program, the
 * XDP program and user space. What the numbers mean is in setup_cookie.h.
 *
 *     SYN      ──▶ fl_setup_answer()   ANSWERED: the copy is the SYN-ACK   UP: untouched
 *     SYN-ACK  ◀──
 *     ACK      ──▶ fl_setup_confirm()  NEW_CONNECTION: goes up, with what was agreed on
 *
 * The SYN-ACK is as long as the SYN, options it does not need being NOPs: then nothing has to be moved,
 * and the sum of its pseudo header is the SYN's. There is room for ours whenever the client's options
 * have room for what we answer: MSS, timestamps and SACK-permitted, and its window scale, if it has
 * one. Order and padding are wire::TcpOptions::emit()'s.
 *
 * Reserved bits of the header are ignored (RFC 9293 section 3.1): a client that asks for Accurate ECN
 * falls back to RFC 3168's (RFC 9768 section 3.1.2). So are unknown options (RFC 9293 MUST-6).
 */
#pragma once

#include "nic/setup/setup_cookie.h"
#include "nic/setup/setup_packet.h"

#define FL_TCP_PSH 0x08
#define FL_TCP_URG 0x20
#define FL_TCP_ECE 0x40
#define FL_TCP_CWR 0x80

/* Bytes of our options: MSS, SACK-permitted and timestamps; window scale with its NOP. */
#define FL_SETUP_OPTIONS 16
#define FL_SETUP_SCALE_OPTION 4

#define FL_SETUP_NOPS 0x01010101u

/* An address that nobody has, IPv4-mapped in IPv6, or a packet from where it goes to (the LAND
 * attack). The host drops and counts it. */
FL_INLINE int fl_setup_bad_addresses(const struct fl_segment *packet,
				     const struct fl_setup_tuple *tuple)
{
	const __u64 *source = tuple->source.words;
	const __u64 *destination = tuple->destination.words;

	if (source[0] == destination[0] && source[1] == destination[1] &&
	    tuple->source_port == tuple->destination_port)
		return 1;
	if (packet->ether_type == FL_ETH_P_IP)
		return fl_get32(packet->ip + 12) == 0 || packet->ip[12] >= 224 || packet->ip[16] >= 224;
	return packet->ip[8] == 0xff || packet->ip[24] == 0xff ||
	       (source[0] == 0 && (source[1] == 0 || fl_get32(packet->ip + 16) == fl_swap32(0xffffu))) ||
	       (destination[0] == 0 && fl_get32(packet->ip + 32) == fl_swap32(0xffffu));
}

/* Nonzero: an answer to a segment that is acknowledged, data or none. */
FL_INLINE int fl_setup_is_ack(const struct fl_segment *packet)
{
	return (packet->tcp[13] & (FL_TCP_ACK | FL_TCP_SYN | FL_TCP_RST)) == FL_TCP_ACK;
}

/* Whether we answer this SYN; FL_SETUP_ANSWERED: we do. */
FL_INLINE enum fl_setup_verdict fl_setup_judge_syn(const struct fl_segment *packet,
						   const struct fl_setup_tuple *tuple,
						   const struct fl_tcp_options *options)
{
	__u32 needed = FL_TCP_HEADER + FL_SETUP_OPTIONS;

	if (options->flags & FL_SYN_WINDOW_SCALE)
		needed += FL_SETUP_SCALE_OPTION;
	if (packet->payload != 0 || packet->tcp[13] & FL_TCP_FIN)
		return FL_SETUP_UP_DATA;
	if (packet->tcp[13] & (FL_TCP_PSH | FL_TCP_URG) || tuple->source_port == 0 ||
	    options->flags & FL_SYN_MALFORMED || fl_setup_bad_addresses(packet, tuple))
		return FL_SETUP_UP_MALFORMED;
	if (!(options->flags & FL_SYN_TIMESTAMPS))
		return FL_SETUP_UP_NO_TIMESTAMPS;
	if (options->flags & FL_SYN_REFUSED || packet->tcp_size < needed ||
	    (options->flags & FL_SYN_MSS && options->mss < fl_cookie_mss(0)))
		return FL_SETUP_UP_OPTIONS;
	return FL_SETUP_ANSWERED;
}

/* What comes of the client's offer. */
FL_INLINE void fl_setup_agree(const struct fl_segment *packet, const struct fl_tcp_options *syn,
			      const struct fl_setup_listener *listener,
			      struct fl_setup_options *agreed)
{
	const __u8 both = FL_TCP_ECE | FL_TCP_CWR;

	agreed->window_scale = syn->flags & FL_SYN_WINDOW_SCALE ? syn->window_scale & 15
								: FL_NO_WINDOW_SCALE;
	agreed->sack = (syn->flags & FL_SYN_SACK) != 0;
	/* RFC 3168 section 6.1.1: both flags ask for it. */
	agreed->ecn = (packet->tcp[13] & both) == both && (listener->flags & FL_SETUP_ECN);
	/* Without the option 536, for IPv6 1220: RFC 9293 section 3.7.1. */
	agreed->mss = fl_cookie_mss(packet->ether_type == FL_ETH_P_IPV6);
	if (syn->flags & FL_SYN_MSS)
		agreed->mss = (__u16)syn->mss;
}

/* Numbers in host order. */
struct fl_setup_syn_ack {
	__u32 isn;
	__u32 ack;
	__u32 ts_value;
	__u32 ts_echo;
	struct fl_setup_options agreed;
};

FL_INLINE void fl_setup_answer_tcp(struct fl_segment *packet, const struct fl_setup_tuple *tuple,
				   const struct fl_setup_listener *listener,
				   const struct fl_setup_syn_ack *answer)
{
	__u8 *tcp = packet->tcp;
	__u32 scale = 0x01030300u | listener->window_scale;
	__u32 at;

	fl_put16(tcp, tuple->destination_port);
	fl_put16(tcp + 2, tuple->source_port);
	fl_put32(tcp + 4, fl_swap32(answer->isn));
	fl_put32(tcp + 8, fl_swap32(answer->ack));
	tcp[12] &= 0xf0;
	tcp[13] = FL_TCP_SYN | FL_TCP_ACK | (answer->agreed.ecn ? FL_TCP_ECE : 0);
	fl_put16(tcp + 14, fl_swap16(listener->window));
	fl_put32(tcp + 16, 0); /* checksum, urgent pointer */
	fl_put32(tcp + 20, fl_swap32(0x02040000u | listener->mss));
	fl_put32(tcp + 24, fl_swap32(answer->agreed.sack ? 0x0402080au : 0x0101080au));
	fl_put32(tcp + 28, fl_swap32(answer->ts_value));
	fl_put32(tcp + 32, fl_swap32(answer->ts_echo));
#pragma clang loop unroll(full)
	for (at = 36; at < FL_TCP_HEADER + FL_MAX_OPTIONS; at += 4)
		fl_put32(tcp + at, at < packet->tcp_size ? FL_SETUP_NOPS : 0);
	if (answer->agreed.window_scale != FL_NO_WINDOW_SCALE)
		fl_put32(tcp + 36, fl_swap32(scale));
}

/*
 * Answers a SYN (fl_is_syn()) to `listener`. FL_SETUP_ANSWERED: `packet` is the SYN-ACK, as long
 * as it was; the link's addresses are for the caller to exchange. Any other verdict: it is untouched.
 */
FL_INLINE enum fl_setup_verdict
fl_setup_answer(struct fl_segment *packet, const struct fl_setup_tuple *tuple,
		const struct fl_setup_listener *listener, const struct fl_setup_secrets *secrets,
		struct fl_setup_time now, enum fl_checksum checksum)
{
	struct fl_tcp_options syn = {};
	struct fl_cookie_claim claim;
	struct fl_setup_syn_ack answer;
	enum fl_setup_verdict verdict;
	__u64 sum = fl_segment_pseudo_sum(packet);
	int partial;

	fl_parse_options(packet, &syn);
	verdict = fl_setup_judge_syn(packet, tuple, &syn);
	if (verdict != FL_SETUP_ANSWERED)
		return verdict;
	if (fl_segment_verify(packet, checksum, &partial))
		return FL_SETUP_UP_MALFORMED;
	fl_setup_agree(packet, &syn, listener, &answer.agreed);
	claim.client_isn = fl_swap32(fl_get32(packet->tcp + 4));
	claim.timestamp = fl_timestamp_with_options(
		fl_timestamp_sent(now.milliseconds, fl_timestamp_offset(secrets, tuple)), &answer.agreed);
	claim.mss_index = fl_cookie_mss_index(answer.agreed.mss);
	claim.window_scale = listener->window_scale;
	claim.units = now.units;
	answer.isn = fl_cookie_of(fl_cookie_hash(secrets, tuple, &claim), &claim);
	answer.ack = claim.client_isn + 1;
	answer.ts_value = claim.timestamp;
	answer.ts_echo = syn.ts_value;

	fl_segment_turn_ip(packet);
	fl_setup_answer_tcp(packet, tuple, listener, &answer);
	fl_segment_set_sum(packet, sum, partial);
	return verdict;
}

/* What an ACK proves. */
struct fl_setup_confirmation {
	struct fl_setup_options options;
	__u32 client_isn;
	__u32 isn;      /* ours */
	__u32 ts_value; /* the segment's own */
	__u32 ts_echo;  /* TSval of our SYN-ACK */
	__u64 hash;     /* of this handshake and no other */
};

/*
 * Reads the proof from a segment with ACK (fl_setup_is_ack()). NOT_OURS: it does not say that it
 * answers a SYN-ACK of ours. Its checksum is the host's to verify.
 */
FL_INLINE enum fl_setup_verdict
fl_setup_confirm(const struct fl_segment *packet, const struct fl_setup_tuple *tuple,
		 const struct fl_setup_listener *listener, const struct fl_setup_secrets *secrets,
		 struct fl_setup_time now, struct fl_setup_confirmation *out)
{
	struct fl_cookie_answer answer;
	struct fl_tcp_options options = {};

	fl_parse_options(packet, &options);
	if (!(options.flags & FL_SYN_TIMESTAMPS) || !fl_timestamp_has_options(options.ts_echo) ||
	    fl_setup_bad_addresses(packet, tuple))
		return FL_SETUP_NOT_OURS;
	out->client_isn = fl_swap32(fl_get32(packet->tcp + 4)) - 1;
	out->isn = fl_swap32(fl_get32(packet->tcp + 8)) - 1;
	out->ts_value = options.ts_value;
	out->ts_echo = options.ts_echo;
	out->hash = 0;
	fl_timestamp_options(options.ts_echo, &out->options);
	out->options.mss = fl_cookie_mss(out->isn >> 5 & 7);
	answer.client_isn = out->client_isn;
	answer.isn = out->isn;
	answer.timestamp = options.ts_echo;
	answer.units = now.units;
	answer.window_scale = listener->window_scale;
	return fl_cookie_check(secrets, tuple, &answer, &out->hash);
}

/*
 * Whether an ACK (fl_setup_is_ack()) that proves a handshake is dropped, by whoever sees it first:
 * it brings nothing, and the listener waits for data (FL_SETUP_DEFER). Nothing is lost by that: the
 * client's next segment proves the handshake as well.
 */
FL_INLINE int fl_setup_may_defer(const struct fl_segment *packet,
				 const struct fl_setup_listener *listener)
{
	return (listener->flags & FL_SETUP_DEFER) && packet->payload == 0 &&
	       (packet->tcp[13] & FL_TCP_FIN) == 0;
}
