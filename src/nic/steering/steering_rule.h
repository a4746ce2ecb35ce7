/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The steering rule: does a packet belong to Fairlead or to the kernel? Plain C, shared by the two
 * kernel programs that must never disagree about it, and by user-space tests:
 *
 *                       packet socket's filter    tc ingress program
 *     TCP of ours       accept                    drop (the socket has its copy)
 *     ICMP error about  accept                    pass (the kernel keeps its own path-MTU cache)
 *       TCP of ours
 *     first fragment    reject                    drop: the kernel would reassemble the segment and
 *       of TCP of ours                            answer RST; senders with path-MTU discovery, that
 *                                                 is everyone, do not fragment TCP
 *     anything else     reject                    pass, untouched
 *
 * A TCP packet is ours when its local endpoint is a listener's, or when its local port is in the
 * range reserved for our outgoing connections and its local address is this machine's. A listener
 * on the unspecified address stands for all of this machine's: without that condition a router
 * would swallow connections that merely pass through it.
 *
 * The including file defines fl_load() (packet_parser.h) and the look-ups declared below.
 */
#pragma once

#include "nic/steering/packet_parser.h"
#include "nic/steering/steering_tables.h"

/* Defined by the including file. */
FL_INLINE int fl_has_listener(void *tables, const struct fl_listener *key);
FL_INLINE int fl_has_address(void *tables, const struct fl_address *address);
FL_INLINE struct fl_port_range fl_local_ports(void *tables);

FL_INLINE int fl_is_v4(const struct fl_address *address)
{
	const __u8 *bytes = (const __u8 *)address->words;

	return address->words[0] == 0 && bytes[8] == 0 && bytes[9] == 0 && bytes[10] == 0xff &&
	       bytes[11] == 0xff;
}

FL_INLINE int fl_matches_listener(void *tables, const struct fl_endpoint *local)
{
	struct fl_listener key = {.address = local->address, .port = local->port, .reserved = {}};
	__u8 *bytes = (__u8 *)key.address.words;

	if (fl_has_listener(tables, &key))
		return 1;
	if (fl_is_v4(&local->address))
		__builtin_memset(bytes + 12, 0, 4);
	else
		__builtin_memset(bytes, 0, 16);
	return fl_has_listener(tables, &key) && fl_has_address(tables, &local->address);
}

FL_INLINE int fl_matches_local_port(void *tables, const struct fl_endpoint *local)
{
	struct fl_port_range range = fl_local_ports(tables);

	return local->port >= range.first && local->port <= range.last &&
	       fl_has_address(tables, &local->address);
}

FL_INLINE enum fl_verdict fl_steer(void *tables, const struct fl_packet *packet)
{
	enum fl_verdict verdict;

	if (packet->kind == FL_KIND_OTHER)
		return FL_PASS_NOT_TCP;
	if (fl_matches_listener(tables, &packet->local))
		verdict = FL_OURS_LISTENER;
	else if (fl_matches_local_port(tables, &packet->local))
		verdict = FL_OURS_LOCAL_PORT;
	else
		return FL_PASS_NOT_OURS;
	if (packet->kind == FL_KIND_TCP_FRAGMENT)
		return FL_OURS_FRAGMENT;
	if (packet->kind == FL_KIND_ICMP_ERROR)
		return FL_OURS_ICMP_ERROR;
	return verdict;
}

/* The tc program keeps it from the kernel. */
FL_INLINE int fl_hidden_from_kernel(enum fl_verdict verdict)
{
	return verdict == FL_OURS_LISTENER || verdict == FL_OURS_LOCAL_PORT ||
	       verdict == FL_OURS_FRAGMENT;
}

/* The socket filter lets it through to the host stack. */
FL_INLINE int fl_goes_to_host_stack(enum fl_verdict verdict)
{
	return verdict == FL_OURS_LISTENER || verdict == FL_OURS_LOCAL_PORT ||
	       verdict == FL_OURS_ICMP_ERROR;
}
