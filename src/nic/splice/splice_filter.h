/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The verdict of splicing on any packet, read by fl_load() (packet_parser.h): for the packet socket's
 * filter, which must know what the translating program will do, and for that program itself where it
 * can't read a packet in place. Plain C.
 *
 * The including file defines fl_load() and fl_splice_find().
 */
#pragma once

#include "nic/splice/splice_rule.h"
#include "nic/splice/splice_track.h"
#include "nic/steering/packet_parser.h"

/* Defined by the including file. NULL: none. */
FL_INLINE struct fl_splice_rule *fl_splice_find(void *tables, const struct fl_splice_key *key);

/* The key of the rule a packet concerns: its own 4-tuple, and for an ICMP error that of the packets
 * the quoted one answers. */
FL_INLINE void fl_splice_key_of(struct fl_splice_key *key, const struct fl_packet *parsed)
{
	key->source = parsed->remote.address;
	key->destination = parsed->local.address;
	key->source_port = fl_swap16(parsed->remote.port);
	key->destination_port = fl_swap16(parsed->local.port);
	key->reserved = 0;
}

/* The other direction's rule. NULL: it is not there. */
FL_INLINE struct fl_splice_rule *fl_splice_find_peer(void *tables,
						     const struct fl_splice_rule *rule)
{
	struct fl_splice_key key;

	fl_splice_reverse_key(&key, rule);
	return fl_splice_find(tables, &key);
}

/* fl_splice_judge()'s verdict of a packet, where the rules may be going down or coming up. */
FL_INLINE enum fl_splice_verdict
fl_splice_judge_end(void *tables, const struct fl_splice_rule *rule,
		    enum fl_splice_verdict verdict, __u8 flags)
{
	if (verdict == FL_SPLICE_TRANSLATED && fl_splice_ends(flags) &&
	    !fl_splice_find_peer(tables, rule))
		return FL_SPLICE_UP_PROCESS;
	return verdict;
}

FL_INLINE enum fl_splice_verdict
fl_splice_judge_plain(void *tables, const struct fl_splice_rule *rule, void *packet,
		      const __u8 *ip, __u32 gso_size)
{
	struct fl_splice_segment segment;
	struct fl_splice_extent extent = {.size = 0, .gso_size = gso_size};
	__u32 v6 = ip[0] >> 4 == 6;
	__u32 size = v6 ? FL_IPV6_HEADER + fl_be16(ip + 4) : fl_be16(ip + 2);
	__u8 tcp[FL_TCP_HEADER];
	__u8 last;

	if (fl_load(packet, v6 ? FL_IPV6_HEADER : FL_IPV4_HEADER, tcp, sizeof(tcp)))
		return FL_SPLICE_DROP_MALFORMED;
	if (size > 0 && !fl_load(packet, size - 1, &last, 1))
		extent.size = size;
	return fl_splice_judge_end(tables, rule, fl_splice_judge(rule, ip, tcp, extent, &segment),
				   tcp[13]);
}

/* `parsed` is what fl_parse_packet() made of the packet. */
FL_INLINE enum fl_splice_verdict
fl_splice_judge_loaded(void *tables, void *packet, const struct fl_packet *parsed, __u16 ether_type,
		       __u32 gso_size)
{
	const struct fl_splice_rule *rule;
	struct fl_splice_key key;
	__u8 ip[FL_IPV6_HEADER] = {};

	if (parsed->kind == FL_KIND_OTHER)
		return FL_SPLICE_NO_RULE;
	fl_splice_key_of(&key, parsed);
	rule = fl_splice_find(tables, &key);
	if (!rule || (ether_type == FL_ETH_P_IPV6) != ((rule->flags & FL_SPLICE_V6) != 0))
		return FL_SPLICE_NO_RULE;
	if (parsed->kind == FL_KIND_ICMP_ERROR)
		return FL_SPLICE_UP_ICMP;
	if (parsed->kind == FL_KIND_TCP_FRAGMENT)
		return FL_SPLICE_DROP_FRAGMENT;
	if (fl_load(packet, 0, ip, ether_type == FL_ETH_P_IPV6 ? FL_IPV6_HEADER : FL_IPV4_HEADER) ||
	    !fl_is_plain(ip, ether_type))
		return FL_SPLICE_UP_OPTIONS;
	return fl_splice_judge_plain(tables, rule, packet, ip, gso_size);
}
