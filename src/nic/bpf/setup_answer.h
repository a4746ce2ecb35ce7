/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connection setup in steering.bpf.c: SYNs to our listeners are answered where they come in
 * (nic/setup/setup_rule.h) and reach no socket. ACKs are for the daemon, which confirms them with the
 * same secrets; but for those that bring nothing to a listener that waits for data.
 *
 * The including file has the maps `listeners`, `addresses`, `setup_listeners` and `setup_secrets`, and
 * count().
 */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "nic/bpf/segment_answer.h"
#include "nic/setup/setup_rule.h"

/* As fl_matches_listener() finds it; NULL: its handshakes are not done here. */
static __always_inline struct fl_setup_listener *find_setup(const struct fl_segment *packet,
							    const struct fl_setup_tuple *tuple)
{
	struct fl_listener key = {.address = tuple->destination,
				  .port = bpf_ntohs(tuple->destination_port),
				  .reserved = {}};

	if (bpf_map_lookup_elem(&listeners, &key))
		return bpf_map_lookup_elem(&setup_listeners, &key);
	if (packet->ether_type == FL_ETH_P_IP)
		__builtin_memset((__u8 *)key.address.words + 12, 0, 4);
	else
		__builtin_memset(key.address.words, 0, 16);
	if (!bpf_map_lookup_elem(&listeners, &key) ||
	    !bpf_map_lookup_elem(&addresses, &tuple->destination))
		return NULL;
	return bpf_map_lookup_elem(&setup_listeners, &key);
}

/* The listener whose handshakes are done here that the packet is a SYN to, and the SYN; `size`: of
 * the packet from its IP header on. */
static __always_inline struct fl_setup_listener *
read_syn(struct fl_source *from, __u16 ether_type, __u32 size, struct fl_segment *packet,
	 struct fl_setup_tuple *tuple)
{
	struct fl_setup_listener *listener;

	if (fl_segment_read(from, ether_type, size, packet) || !fl_is_syn(packet->tcp[13]))
		return NULL;
	fl_setup_read_tuple(packet, tuple);
	listener = find_setup(packet, tuple);
	return listener && !fl_segment_read_options(from, packet) ? listener : NULL;
}

static __always_inline enum fl_setup_verdict answer(struct fl_source *from, __u16 ether_type,
						    __u32 size, enum fl_checksum checksum,
						    struct fl_segment *packet)
{
	struct fl_setup_tuple tuple;
	struct fl_setup_listener *listener = read_syn(from, ether_type, size, packet, &tuple);
	struct fl_setup_secrets *secrets;
	__u32 key = 0;

	secrets = bpf_map_lookup_elem(&setup_secrets, &key);
	if (!listener || !secrets)
		return FL_SETUP_NOT_OURS;
	return fl_setup_answer(packet, &tuple, listener, secrets,
			       fl_setup_time_of(bpf_ktime_get_ns()), checksum);
}

/* What answer_skb() would return FL_SETUP_ANSWERED for, or drops for its checksums. */
static __noinline int will_answer(struct __sk_buff *skb)
{
	struct fl_source from = {.skb = skb, .ip = ETH_HLEN};
	struct fl_tcp_options options = {};
	struct fl_segment packet;
	struct fl_setup_tuple tuple;

	if (!read_syn(&from, bpf_ntohs(skb->protocol), skb->len - ETH_HLEN, &packet, &tuple))
		return 0;
	fl_parse_options(&packet, &options);
	return fl_setup_judge_syn(&packet, &tuple, &options) == FL_SETUP_ANSWERED;
}

/* Bytes of a frame with a lone ACK, in the layout that everyone sends (RFC 7323 appendix A). */
#define LONE_ACK_V4 (ETH_HLEN + FL_IPV4_HEADER + FL_TCP_HEADER + 12)
#define LONE_ACK_V6 (ETH_HLEN + FL_IPV6_HEADER + FL_TCP_HEADER + 12)

/* Whether the skb, which is a listener's, is FL_SETUP_DEFERRED. */
static __noinline int defers_skb(struct __sk_buff *skb)
{
	struct fl_source from = {.skb = skb, .ip = ETH_HLEN};
	struct fl_setup_confirmation proof;
	struct fl_setup_listener *listener;
	struct fl_setup_secrets *secrets;
	struct fl_setup_tuple tuple;
	struct fl_segment packet;
	__u32 key = 0;
	__u8 echo; /* TSecr's lowest byte, the frame's last */

	if (skb->len != LONE_ACK_V4 && skb->len != LONE_ACK_V6)
		return 0;
	if (fl_load(&from, skb->len - ETH_HLEN - 1, &echo, 1) || !fl_timestamp_has_options(echo))
		return 0;
	if (fl_segment_read(&from, bpf_ntohs(skb->protocol), skb->len - ETH_HLEN, &packet) ||
	    !fl_setup_is_ack(&packet))
		return 0;
	fl_setup_read_tuple(&packet, &tuple);
	listener = find_setup(&packet, &tuple);
	secrets = bpf_map_lookup_elem(&setup_secrets, &key);
	return listener && secrets && fl_setup_may_defer(&packet, listener) &&
	       !fl_segment_read_options(&from, &packet) &&
	       fl_setup_confirm(&packet, &tuple, listener, secrets, fl_setup_time_of(bpf_ktime_get_ns()),
				&proof) == FL_SETUP_NEW_CONNECTION;
}

/* FL_SETUP_ANSWERED: the skb is the SYN-ACK. */
static __noinline int answer_skb(struct __sk_buff *skb)
{
	struct fl_source from = {.skb = skb, .ip = ETH_HLEN};
	struct fl_segment packet;
	enum fl_setup_verdict verdict = answer(&from, bpf_ntohs(skb->protocol), skb->len - ETH_HLEN,
					       FL_CHECKSUM_MAYBE_PARTIAL, &packet);

	if (verdict == FL_SETUP_ANSWERED && write_skb(skb, &packet))
		return FL_SETUP_UP_MALFORMED;
	return verdict;
}

/* What is not answered goes on: the tc program looks at it again, and counts. */
static __noinline int answer_xdp(struct xdp_md *xdp)
{
	struct fl_source from = {.xdp = xdp, .ip = ETH_HLEN};
	__u8 *data = (__u8 *)(long)xdp->data;
	__u8 *end = (__u8 *)(long)xdp->data_end;
	struct fl_segment packet;

	if (data + ETH_HLEN > end ||
	    answer(&from, bpf_ntohs(fl_get16(data + 12)), (__u32)(end - data) - ETH_HLEN,
		   FL_CHECKSUM_TO_VERIFY, &packet) != FL_SETUP_ANSWERED)
		return XDP_PASS;
	count(FL_ANSWERED_SYN);
	return write_xdp(xdp, &packet) ? XDP_DROP : fl_send_back(xdp);
}
