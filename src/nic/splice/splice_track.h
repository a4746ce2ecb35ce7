/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a rule remembers of the packets it translated: counters, and how far the connection's end has
 * come. Plain C; called once for each translated packet, with the segment as it came.
 *
 *     FIN one way      its end is written into the other direction's rule (PEER_FIN), whose
 *                      acknowledgements are compared with it (PEER_FIN_ACKED)
 *     both acked       OVER, in both rules
 *     RST              RESET; where its receiver's acknowledgements have come to, RESET_EXACT
 *
 * A FIN or RST counts only within the window its receiver last announced: the receiver ignores others
 * (RFC 9293 section 3.10.7.4, RFC 5961 section 3), so one guessed from outside must not end the
 * splice. It is translated all the same; the receiver decides. One within the window may still be a
 * guess: the receiver asks, by an ACK, and the sender, if it is no more, answers by an exact one. So it
 * answers what is still on its way to it, too.
 *
 * In the kernel the process may take both rules out at any instant, and they are two. What the end is
 * seen by, in either place, is never between them:
 *
 *     going down    a FIN or RST that finds one rule goes up as if it had found none
 *     coming up     the rules get SENT_UP before they are read and taken out. A program that has
 *                   written its part of the end into one looks for that bit afterwards, in the same
 *                   word: without it the process has still to read what was written; with it the
 *                   packet is dropped, and its sender repeats it
 *
 * The common packet touches one rule; the other is looked up only when fl_splice_count() asks for it.
 */
#pragma once

#include "nic/splice/splice_packet.h"

/* How far outside the window a FIN or RST may be, bytes: the window we saw last need not be the last
 * one sent when packets were reordered. */
#define FL_SPLICE_WINDOW_SLACK 0x10000u

/* Whether the end whose acknowledgements `rule` has seen would take what has the sequence number `seq`:
 * in the other direction, as it came there. */
FL_INLINE int fl_splice_in_window(const struct fl_splice_rule *rule, __u32 seq)
{
	const __u32 ahead = seq - rule->acked + FL_SPLICE_WINDOW_SLACK;

	return ahead <= (__u64)rule->window + 2 * FL_SPLICE_WINDOW_SLACK;
}

/* Nonzero: what is to be remembered of it needs both rules. */
FL_INLINE int fl_splice_ends(__u8 flags)
{
	return flags & (FL_TCP_FIN | FL_TCP_RST);
}

/* Counts a translated segment; `now` as fl_splice_rule.last_at. Nonzero: call fl_splice_track(). */
FL_INLINE int fl_splice_count(struct fl_splice_rule *rule, const struct fl_splice_segment *segment,
			      __u64 now)
{
	const __u32 acked = segment->ack + rule->ack_offset;

	rule->packets += segment->packets;
	rule->bytes += segment->payload;
	rule->last_at = now;
	/* Nobody can acknowledge more than it has left room for: what does is a guess from outside. */
	if ((segment->flags & FL_TCP_ACK) && fl_splice_in_window(rule, acked)) {
		rule->acked = acked;
		rule->window = (__u32)segment->window << (rule->window_scale & 15);
		if ((rule->state & (FL_SPLICE_PEER_FIN | FL_SPLICE_PEER_FIN_ACKED)) == FL_SPLICE_PEER_FIN &&
		    rule->acked == rule->peer_fin_end)
			return 1;
	}
	return fl_splice_ends(segment->flags);
}

/* Sets a bit of a rule's state. Nonzero: it was not set before. */
FL_INLINE int fl_splice_set_state(struct fl_splice_rule *rule, __u32 bit)
{
	return !(__sync_fetch_and_or(&rule->state, bit) & bit);
}

FL_INLINE __u32 fl_splice_set_over(struct fl_splice_rule *rule, struct fl_splice_rule *peer)
{
	struct fl_splice_rule *first = rule->flags & FL_SPLICE_FROM_CLIENT ? rule : peer;
	struct fl_splice_rule *second = rule->flags & FL_SPLICE_FROM_CLIENT ? peer : rule;

	/* Two processors may be here at once, one a direction: the client's rule decides whose event
	 * it is. */
	fl_splice_set_state(second, FL_SPLICE_OVER);
	return fl_splice_set_state(first, FL_SPLICE_OVER) ? FL_SPLICE_EVENT_OVER : 0;
}

/* How far the end has come with this segment; `peer` is the other direction's rule. Returns the event
 * that is due, enum fl_splice_event_kind, once each; else 0. */
FL_INLINE __u32 fl_splice_track(struct fl_splice_rule *rule, struct fl_splice_rule *peer,
				const struct fl_splice_segment *segment)
{
	__u32 fin_end = segment->seq + segment->payload + 1;
	__u32 event;

	if (segment->flags & FL_TCP_RST) {
		if (!fl_splice_in_window(peer, segment->seq))
			return 0;
		event = fl_splice_set_state(rule, FL_SPLICE_RESET) ? FL_SPLICE_EVENT_RESET : 0;
		if (segment->seq == peer->acked && fl_splice_set_state(rule, FL_SPLICE_RESET_EXACT))
			event = FL_SPLICE_EVENT_RESET;
		return event;
	}
	if ((segment->flags & FL_TCP_FIN) && !(peer->state & FL_SPLICE_PEER_FIN_ACKED) &&
	    fl_splice_in_window(peer, fin_end)) {
		peer->peer_fin_end = fin_end;
		fl_splice_set_state(peer, FL_SPLICE_PEER_FIN);
	}
	if ((segment->flags & FL_TCP_ACK) && (rule->state & FL_SPLICE_PEER_FIN) &&
	    rule->acked == rule->peer_fin_end)
		fl_splice_set_state(rule, FL_SPLICE_PEER_FIN_ACKED);
	if (rule->state & peer->state & FL_SPLICE_PEER_FIN_ACKED)
		return fl_splice_set_over(rule, peer);
	return 0;
}

/* After fl_splice_track(), in the kernel. Nonzero: the process may have read the rules before. */
FL_INLINE int fl_splice_is_sent_up(const struct fl_splice_rule *rule,
				   const struct fl_splice_rule *peer)
{
	return ((rule->state | peer->state) & FL_SPLICE_SENT_UP) != 0;
}

/* Nonzero: a SYN may begin a new connection in this one's place. */
FL_INLINE int fl_splice_is_finished(const struct fl_splice_rule *rule,
				    const struct fl_splice_rule *peer)
{
	return ((rule->state | peer->state) & (FL_SPLICE_OVER | FL_SPLICE_RESET_EXACT)) != 0;
}

/* Tells of `rule`, found by `key`. */
FL_INLINE void fl_splice_describe(struct fl_splice_event *event, __u32 kind,
				  const struct fl_splice_key *key, const struct fl_splice_rule *rule,
				  const struct fl_splice_rule *peer)
{
	event->key = *key;
	event->generation = rule->generation;
	event->kind = kind;
	event->packets = rule->packets;
	event->bytes = rule->bytes;
	event->peer_packets = peer->packets;
	event->peer_bytes = peer->bytes;
}
