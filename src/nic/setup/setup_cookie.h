/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * SYN cookies: the sequence number and the timestamp of our SYN-ACK, which between them hold all
 * that the handshake has agreed on and prove that we said so. Pure functions, plain C.
 *
 *     ISN     31                            8 7     5 4         0
 *             |         keyed hash, 24       | MSS, 3 |  time, 5  |
 *
 *     TSval   31                            7  6    5   4     1   0
 *             |       coarse clock, 25      | SACK | ECN | scale | 1 |
 *
 * ISN. MSS: index of the largest size of a table that is not above the client's. Time: of a counter
 * of 4 s, so that a cookie lives 60 to 64 s (FL_COOKIE_WINDOW), as long as a host that keeps state
 * and repeats its SYN-ACK five times waits for the answer; meanwhile a client whose ACK and first
 * data are lost sends them again at 1, 3, 7, 15, 31 s. The five bits wrap after 128 s, twice that: a
 * cookie is never taken for a younger one, because the hash covers 16 bits of the counter.
 *
 * Hash. SipHash-2-4 of the 4-tuple, the client's ISN, our TSval, the MSS index, our own window scale
 * and the counter. The client's ISN is the nonce: it is new for each connection (RFC 6528), so that
 * a cookie is worth nothing for another one between the same ports; and it ties the ACK's sequence
 * number to the handshake: a segment from further on, whose predecessor was lost, is not taken for
 * the first. As TSval is covered, nobody can talk us into other options than those agreed on. A blind
 * guess is right once in 2^24.
 *
 * Secrets. The counter's epoch, 32 units or 128 s, says which secret made a cookie, by its parity. So
 * an ACK costs one hash, all processors change over at the same instant, and the secret of the
 * epoch before has no valid cookie left in the second half of an epoch: then it is replaced by the
 * next one's, with 64 s to do it.
 *
 * TSval. The lowest bit says that this is a SYN-ACK's: all other segments have an even one
 * (fl_timestamp_sent()), so that of an established connection's packets, whose TSecr is even, none
 * is looked at any closer. Scale: the client's window shift, 15: it does not scale. What comes above
 * is the connection's clock, at least 1 and at most 128 ms slow: the largest value with these seven
 * bits below the clock's even value. Whatever is sent afterwards by the same clock, which never goes
 * back, is larger, as the client's PAWS demands (RFC 7323 section 5.3), and the clock still ticks in
 * milliseconds (section 5.4). It is offset by a keyed hash of the 4-tuple, which never changes, so
 * that it tells nothing and does not go back from one connection to the next between the same ports.
 *
 * The ACK: acknowledges ISN + 1, has sequence number client's ISN + 1, and its TSecr is our TSval,
 * which is the last the client has seen of us (RFC 7323 section 4.3), until it has a segment of the
 * host's.
 */
#pragma once

#include "nic/setup/setup_tables.h"
#include "nic/steering/packet_fields.h"

/* Nanoseconds. */
#define FL_COOKIE_UNIT 4000000000ull
/* Units; a cookie older than this is refused. */
#define FL_COOKIE_WINDOW 15
/* Units; how many five bits tell apart, and how long a secret makes cookies. */
#define FL_COOKIE_EPOCH 32

/* The window scale of a client that does not scale. */
#define FL_NO_WINDOW_SCALE 15

#define FL_COOKIE_MSS_COUNT 8

/* An end of a connection, as it arrives: ports in network order. */
struct fl_setup_tuple {
	struct fl_address source;
	struct fl_address destination;
	__u16 source_port;
	__u16 destination_port;
};

struct fl_setup_time {
	__u32 units;        /* of FL_COOKIE_UNIT */
	__u32 milliseconds; /* wraps */
};

/* What a handshake has agreed on, beside our own MSS, window and scale. */
struct fl_setup_options {
	__u16 mss;         /* what the client takes */
	__u8 window_scale; /* the client's, or FL_NO_WINDOW_SCALE */
	__u8 sack;         /* 0 or 1 */
	__u8 ecn;          /* 0 or 1 */
};

/* CLOCK_MONOTONIC, ns. */
FL_INLINE struct fl_setup_time fl_setup_time_of(__u64 ns)
{
	struct fl_setup_time time = {.units = (__u32)(ns / FL_COOKIE_UNIT),
				     .milliseconds = (__u32)(ns / 1000000)};

	return time;
}

struct fl_sip_state {
	__u64 v0, v1, v2, v3;
};

#define fl_rotate64(value, by) ((value) << (by) | (value) >> (64 - (by)))

FL_INLINE void fl_sip_round(struct fl_sip_state *s)
{
	s->v0 += s->v1, s->v1 = fl_rotate64(s->v1, 13), s->v1 ^= s->v0, s->v0 = fl_rotate64(s->v0, 32);
	s->v2 += s->v3, s->v3 = fl_rotate64(s->v3, 16), s->v3 ^= s->v2;
	s->v0 += s->v3, s->v3 = fl_rotate64(s->v3, 21), s->v3 ^= s->v0;
	s->v2 += s->v1, s->v1 = fl_rotate64(s->v1, 17), s->v1 ^= s->v2, s->v2 = fl_rotate64(s->v2, 32);
}

/* SipHash-2-4 (base/siphash.h) of `count` words. The caller puts the message's length into the last
 * one's highest byte. */
FL_INLINE __u64 fl_siphash(const struct fl_sip_key *key, const __u64 *words, int count)
{
	struct fl_sip_state s = {.v0 = key->k0 ^ 0x736f6d6570736575ull,
				 .v1 = key->k1 ^ 0x646f72616e646f6dull,
				 .v2 = key->k0 ^ 0x6c7967656e657261ull,
				 .v3 = key->k1 ^ 0x7465646279746573ull};
	int i;

#pragma clang loop unroll(full)
	for (i = 0; i < count; ++i) {
		s.v3 ^= words[i];
		fl_sip_round(&s);
		fl_sip_round(&s);
		s.v0 ^= words[i];
	}
	s.v2 ^= 0xff;
#pragma clang loop unroll(full)
	for (i = 0; i < 4; ++i)
		fl_sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

FL_INLINE void fl_setup_hash_tuple(__u64 *words, const struct fl_setup_tuple *tuple)
{
	words[0] = tuple->source.words[0];
	words[1] = tuple->source.words[1];
	words[2] = tuple->destination.words[0];
	words[3] = tuple->destination.words[1];
	words[4] = (__u64)tuple->source_port << 16 | tuple->destination_port;
}

/* The offset of the connection's timestamp clock. */
FL_INLINE __u32 fl_timestamp_offset(const struct fl_setup_secrets *secrets,
				    const struct fl_setup_tuple *tuple)
{
	__u64 words[5];

	fl_setup_hash_tuple(words, tuple);
	words[4] |= 36ull << 56;
	return (__u32)fl_siphash(&secrets->timestamps, words, 5);
}

/* TSval of every segment but a SYN-ACK of ours; `offset` is fl_timestamp_offset(). */
FL_INLINE __u32 fl_timestamp_sent(__u32 milliseconds, __u32 offset)
{
	return (milliseconds + offset) & ~1u;
}

/* TSval of a SYN-ACK that is sent when all others have `sent`. */
FL_INLINE __u32 fl_timestamp_with_options(__u32 sent, const struct fl_setup_options *options)
{
	__u32 bits = (__u32)options->sack << 6 | (__u32)options->ecn << 5 |
		     (__u32)options->window_scale << 1 | 1;
	__u32 behind = (sent - bits) & 127;

	return sent - (behind ? behind : 128);
}

FL_INLINE int fl_timestamp_has_options(__u32 value)
{
	return (value & 1) != 0;
}

/* Fills in all but the MSS. */
FL_INLINE void fl_timestamp_options(__u32 value, struct fl_setup_options *options)
{
	options->window_scale = value >> 1 & 15;
	options->ecn = value >> 5 & 1;
	options->sack = value >> 6 & 1;
}

/*
 * The sizes of the MSS index: RFC 9293 section 3.7.1's default, IPv6's smallest MTU, tunnels and
 * mobile networks, IPv6 and tunnels over Ethernet, PPPoE, Ethernet, jumbo frames under IPv6.
 */
FL_INLINE __u16 fl_cookie_mss(__u32 index)
{
	switch (index) {
	case 0:
		return 536;
	case 1:
		return 1220;
	case 2:
		return 1300;
	case 3:
		return 1380;
	case 4:
		return 1440;
	case 5:
		return 1452;
	case 6:
		return 1460;
	default:
		return 8940;
	}
}

/* Of the largest size not above `mss`, which is at least 536. */
FL_INLINE __u32 fl_cookie_mss_index(__u16 mss)
{
	__u32 index = 0;
	__u32 i;

#pragma clang loop unroll(full)
	for (i = 1; i < FL_COOKIE_MSS_COUNT; ++i)
		index += mss >= fl_cookie_mss(i);
	return index;
}

/* What the hash covers beside the addresses. */
struct fl_cookie_claim {
	__u32 client_isn;
	__u32 timestamp; /* our TSval */
	__u32 mss_index;
	__u32 window_scale; /* ours */
	__u32 units;        /* when it was made */
};

FL_INLINE __u64 fl_cookie_hash(const struct fl_setup_secrets *secrets,
			       const struct fl_setup_tuple *tuple,
			       const struct fl_cookie_claim *claim)
{
	__u64 words[6];
	struct fl_sip_key key = secrets->cookie[0];

	/* Not by index: the compiler would look the key up on the program's stack. */
	if (claim->units / FL_COOKIE_EPOCH & 1)
		key = secrets->cookie[1];
	fl_setup_hash_tuple(words, tuple);
	words[4] |= (__u64)claim->client_isn << 32;
	words[5] = claim->timestamp | (__u64)(claim->mss_index & 7) << 32 |
		   (__u64)(claim->window_scale & 15) << 36 | (__u64)(claim->units & 0xffff) << 40 |
		   47ull << 56;
	return fl_siphash(&key, words, 6);
}

/* Where the hash begins in a cookie, which has its low 24 bits. */
#define FL_COOKIE_HASH_SHIFT 8

FL_INLINE __u32 fl_cookie_of(__u64 hash, const struct fl_cookie_claim *claim)
{
	return (__u32)hash << FL_COOKIE_HASH_SHIFT | claim->mss_index << 5 | claim->units % FL_COOKIE_EPOCH;
}

/* A sequence number and a timestamp that come back, and what the host knows by itself. */
struct fl_cookie_answer {
	__u32 client_isn;
	__u32 isn;       /* ours */
	__u32 timestamp; /* TSecr */
	__u32 units;     /* now */
	__u8 window_scale; /* ours */
};

/* FL_SETUP_NEW_CONNECTION, _EXPIRED or _FORGED. `hash`: of the cookie, all 64 bits. */
FL_INLINE enum fl_setup_verdict fl_cookie_check(const struct fl_setup_secrets *secrets,
						const struct fl_setup_tuple *tuple,
						const struct fl_cookie_answer *answer, __u64 *hash)
{
	__u32 age = (answer->units - answer->isn) % FL_COOKIE_EPOCH;
	struct fl_cookie_claim claim = {.client_isn = answer->client_isn,
					.timestamp = answer->timestamp,
					.mss_index = answer->isn >> 5 & 7,
					.window_scale = answer->window_scale,
					.units = answer->units - age};

	if (age > FL_COOKIE_WINDOW)
		return FL_SETUP_EXPIRED;
	*hash = fl_cookie_hash(secrets, tuple, &claim);
	return fl_cookie_of(*hash, &claim) == answer->isn ? FL_SETUP_NEW_CONNECTION : FL_SETUP_FORGED;
}
