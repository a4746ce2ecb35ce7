/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Teardown at the kernel's seats: the ordinary packets that end a connection are decided where they
 * come in. Plain C, shared by the tc program, the packet socket's filter, the XDP program and user space.
 *
 *                 gives                              ACK of our FIN: taken
 *     Teardown ──────────▶ entry ──▶ the programs ── the peer's FIN: taken, answered by ACK
 *        ▲                   │                    └─ anything else: up, to Teardown
 *        └─── takes back ────┘
 *
 * The packet socket's filter sees a packet first and decides; the tc program, which sees it next, does
 * what that decision asks for (fl_teardown_repeat()). In XDP it is one program.
 *
 * Ordinary is a packet with no options but timestamps where they were agreed on, in the layout of RFC
 * 7323 appendix A; no payload; no flag but ACK and FIN; exactly the sequence number that is next;
 * exactly all that we have sent acknowledged; intact checksums.
 */
#pragma once

#include "nic/setup/setup_cookie.h"
#include "nic/steering/segment_copy.h"
#include "nic/teardown/teardown_tables.h"

/* Bytes of the options of RFC 7323 appendix A: two NOPs, timestamps. */
#define FL_TEARDOWN_OPTIONS 12

enum fl_teardown_verdict {
	FL_TEARDOWN_UP,
	FL_TEARDOWN_TAKEN,    /* to nobody else */
	FL_TEARDOWN_ANSWERED, /* the same, and an answer is due: fl_teardown_answer() */
};

/* Nonzero: an IPv6 packet to an address of ::/64, which nobody has on a link. IPv4-mapped ones are
 * among them: it is not the IPv4 flow's. */
FL_INLINE int fl_teardown_is_mapped(const struct fl_segment *segment)
{
	return segment->ether_type == FL_ETH_P_IPV6 &&
	       (fl_get32(segment->ip + 24) | fl_get32(segment->ip + 28)) == 0;
}

/* Nonzero: it may be an ordinary packet of a flow. */
FL_INLINE int fl_teardown_is_candidate(const struct fl_segment *segment)
{
	return segment->payload == 0 && !(segment->tcp[12] & 0x0f) &&
	       (segment->tcp[13] | FL_TCP_FIN) == (FL_TCP_ACK | FL_TCP_FIN) &&
	       !fl_teardown_is_mapped(segment);
}

FL_INLINE void fl_teardown_read_tuple(const struct fl_segment *segment,
				      struct fl_teardown_tuple *tuple)
{
	if (segment->ether_type == FL_ETH_P_IPV6) {
		tuple->remote.address = fl_address_v6(segment->ip + 8);
		tuple->local.address = fl_address_v6(segment->ip + 24);
	} else {
		tuple->remote.address = fl_address_v4(segment->ip + 12);
		tuple->local.address = fl_address_v4(segment->ip + 16);
	}
	tuple->remote.port = fl_swap16(fl_get16(segment->tcp));
	tuple->local.port = fl_swap16(fl_get16(segment->tcp + 2));
}

FL_INLINE int fl_teardown_matches(const struct fl_teardown_entry *entry,
				  const struct fl_teardown_tuple *tuple)
{
	return entry->remote_port == tuple->remote.port && entry->local_port == tuple->local.port &&
	       entry->remote.words[1] == tuple->remote.address.words[1] &&
	       entry->remote.words[0] == tuple->remote.address.words[0] &&
	       entry->local.words[1] == tuple->local.address.words[1] &&
	       entry->local.words[0] == tuple->local.address.words[0];
}

/* The flow's entry; NULL: it has none. */
FL_INLINE struct fl_teardown_entry *fl_teardown_find(struct fl_teardown_bucket *bucket,
						     const struct fl_teardown_tuple *tuple)
{
	int i;

#pragma clang loop unroll(full)
	for (i = 0; i < FL_TEARDOWN_WAYS; ++i) {
		struct fl_teardown_entry *entry = &bucket->entries[i];

		if (fl_teardown_matches(entry, tuple) &&
		    fl_teardown_state_of(entry->word) != FL_TEARDOWN_FREE)
			return entry;
	}
	return 0;
}

/* Nonzero: its options are not what every segment of the flow has, or older than others were (PAWS,
 * RFC 7323 section 5.3 R1). */
FL_INLINE int fl_teardown_odd_options(const struct fl_teardown_entry *entry, __u64 word,
				      const struct fl_segment *segment)
{
	const __u8 *option = segment->tcp + FL_TCP_HEADER;

	if (!entry->timestamps)
		return segment->tcp_size != FL_TCP_HEADER;
	return segment->tcp_size != FL_TCP_HEADER + FL_TEARDOWN_OPTIONS ||
	       fl_get32(option) != fl_swap32(0x0101080au) ||
	       (__s32)(fl_swap32(fl_get32(option + 4)) - fl_teardown_ts_recent_of(word)) < 0;
}

/* The state that a candidate with these numbers leads to; FREE: it is not ordinary. `behind`: its
 * sequence number counted from the peer's FIN. */
FL_INLINE __u32 fl_teardown_next_state(__u32 state, int fin, __u32 behind)
{
	switch (state) {
	case FL_TEARDOWN_FIN_WAIT_1:
	case FL_TEARDOWN_FIN_WAIT_2:
		if (behind != 0)
			return FL_TEARDOWN_FREE;
		return fin ? FL_TEARDOWN_TIME_WAIT : FL_TEARDOWN_FIN_WAIT_2;
	case FL_TEARDOWN_CLOSING:
		return behind == 1 && !fin ? FL_TEARDOWN_TIME_WAIT : FL_TEARDOWN_FREE;
	case FL_TEARDOWN_LAST_ACK:
	case FL_TEARDOWN_CLOSED:
		return behind == 1 && !fin ? FL_TEARDOWN_CLOSED : FL_TEARDOWN_FREE;
	case FL_TEARDOWN_TIME_WAIT:
		return behind == !fin ? FL_TEARDOWN_TIME_WAIT : FL_TEARDOWN_FREE;
	default:
		return FL_TEARDOWN_FREE;
	}
}

/* The word that a candidate of this flow leads to; 0: it is not ordinary. */
FL_INLINE __u64 fl_teardown_next(const struct fl_teardown_entry *entry, __u64 word,
				 const struct fl_segment *segment, __u32 seconds)
{
	const __u32 state = fl_teardown_state_of(word);
	const int fin = segment->tcp[13] & FL_TCP_FIN;
	__u32 next;

	if (fl_swap32(fl_get32(segment->tcp + 8)) != entry->end ||
	    fl_teardown_odd_options(entry, word, segment) || (__s32)(entry->until - seconds) <= 0)
		return 0;
	next = fl_teardown_next_state(state, fin,
				      fl_swap32(fl_get32(segment->tcp + 4)) - entry->fin_seq);
	if (next == FL_TEARDOWN_FREE)
		return 0;
	if (state == FL_TEARDOWN_TIME_WAIT)
		return fin ? word | FL_TEARDOWN_AGAIN : word;
	word = (word & ~FL_TEARDOWN_STATE) | next;
	if (!entry->timestamps || state == FL_TEARDOWN_CLOSED)
		return word;
	/* RFC 7323 section 4.3 (2) */
	return (word & 0xffffffffu) |
	       (__u64)fl_swap32(fl_get32(segment->tcp + FL_TCP_HEADER + 4)) << 32;
}

FL_INLINE enum fl_teardown_verdict fl_teardown_verdict_of(const struct fl_segment *segment)
{
	return segment->tcp[13] & FL_TCP_FIN ? FL_TEARDOWN_ANSWERED : FL_TEARDOWN_TAKEN;
}

/* A look at a packet. */
struct fl_teardown_look {
	struct fl_teardown_tuple tuple; /* its own */
	__u64 now;                      /* CLOCK_MONOTONIC, ns */
	enum fl_checksum checksum;
};

/* And what was found. */
struct fl_teardown_decision {
	__u64 word;  /* as it was left */
	int partial; /* as fl_segment_verify() found it */
};

/* Read before all else of the entry, which has not changed if the word is the same afterwards. */
FL_INLINE __u64 fl_teardown_load(struct fl_teardown_entry *entry)
{
	return __sync_fetch_and_or(&entry->word, 0);
}

/* Decides what becomes of a candidate, options read, that is fl_teardown_find()'s. */
FL_INLINE enum fl_teardown_verdict
fl_teardown_decide(struct fl_teardown_entry *entry, const struct fl_segment *segment,
		   const struct fl_teardown_look *look, struct fl_teardown_decision *out)
{
	const __u64 word = fl_teardown_load(entry);

	if (!fl_teardown_matches(entry, &look->tuple))
		return FL_TEARDOWN_UP;
	out->word = fl_teardown_next(entry, word, segment, (__u32)(look->now / 1000000000));
	if (out->word == 0 || fl_segment_verify(segment, look->checksum, &out->partial))
		return FL_TEARDOWN_UP;
	if (out->word != word &&
	    __sync_val_compare_and_swap(&entry->word, word, out->word) != word)
		return FL_TEARDOWN_UP;
	return fl_teardown_verdict_of(segment);
}

/* The same for a packet that has been decided already, here or on its way up: changes nothing, and
 * finds again what was decided. */
FL_INLINE enum fl_teardown_verdict
fl_teardown_repeat(struct fl_teardown_entry *entry, const struct fl_segment *segment,
		   const struct fl_teardown_look *look, struct fl_teardown_decision *out)
{
	const __u64 word = fl_teardown_load(entry);

	if (!fl_teardown_matches(entry, &look->tuple))
		return FL_TEARDOWN_UP;
	out->word = fl_teardown_next(entry, word, segment, (__u32)(look->now / 1000000000));
	if ((out->word & ~FL_TEARDOWN_AGAIN) != (word & ~FL_TEARDOWN_AGAIN) ||
	    fl_segment_verify(segment, look->checksum, &out->partial))
		return FL_TEARDOWN_UP;
	return fl_teardown_verdict_of(segment);
}

/* Makes of a FIN the ACK that answers it, as long as it was; the link's addresses are for the caller to
 * exchange. */
FL_INLINE void fl_teardown_answer(struct fl_segment *segment, const struct fl_teardown_entry *entry,
				  const struct fl_teardown_look *look,
				  const struct fl_teardown_decision *decision)
{
	const __u32 milliseconds = (__u32)(look->now / 1000000);
	const __u64 sum = fl_segment_pseudo_sum(segment);
	const __u16 port = fl_get16(segment->tcp);
	__u8 *tcp = segment->tcp;

	fl_put16(tcp, fl_get16(tcp + 2));
	fl_put16(tcp + 2, port);
	fl_put32(tcp + 4, fl_swap32(entry->end));
	fl_put32(tcp + 8, fl_swap32(entry->fin_seq + 1));
	tcp[13] = FL_TCP_ACK;
	fl_put16(tcp + 14, fl_swap16(entry->window));
	fl_put32(tcp + 16, 0); /* checksum, urgent pointer */
	if (entry->timestamps) {
		fl_put32(tcp + 24, fl_swap32(fl_timestamp_sent(milliseconds, entry->ts_offset)));
		fl_put32(tcp + 28, fl_swap32(fl_teardown_ts_recent_of(decision->word)));
	}
	fl_segment_turn_ip(segment);
	fl_segment_set_sum(segment, sum, decision->partial);
}
