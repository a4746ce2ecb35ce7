/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connection teardown in steering.bpf.c: ordinary packets of connections in teardown are decided where
 * they come in (nic/teardown/teardown_rule.h), and FINs answered there. All else is for the daemon.
 *
 * The including file has the map `teardown_flows`, `hash_seed`, and count().
 */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "nic/bpf/segment_answer.h"
#include "nic/teardown/teardown_rule.h"

/* Bytes of the longest frame with a candidate. */
#define MAX_CANDIDATE (ETH_HLEN + FL_IPV6_HEADER + FL_TCP_HEADER + FL_TEARDOWN_OPTIONS)

/* Set before loading: of `teardown_flows`. */
const volatile __u32 teardown_buckets = 1;

/* The entry of the flow that the packet is a candidate of; NULL: of none. `size`: of the packet from its
 * IP header on. */
static __always_inline struct fl_teardown_entry *
read_candidate(struct fl_source *from, __u16 ether_type, __u32 size, struct fl_segment *segment,
	       struct fl_teardown_look *look)
{
	struct fl_teardown_bucket *bucket;
	struct fl_teardown_entry *entry;
	__u32 key;

	if (fl_segment_read(from, ether_type, size, segment) || !fl_teardown_is_candidate(segment))
		return NULL;
	fl_teardown_read_tuple(segment, &look->tuple);
	key = fl_teardown_bucket_of(&look->tuple, hash_seed, teardown_buckets);
	bucket = bpf_map_lookup_elem(&teardown_flows, &key);
	if (!bucket)
		return NULL;
	entry = fl_teardown_find(bucket, &look->tuple);
	if (!entry || fl_segment_read_options(from, segment))
		return NULL;
	look->now = bpf_ktime_get_ns();
	return entry;
}

/* For the packet socket's filter, the first to see the packet. */
static __noinline int decide_skb(struct __sk_buff *skb)
{
	struct fl_source from = {.skb = skb, .ip = ETH_HLEN};
	struct fl_teardown_look look = {.checksum = FL_CHECKSUM_MAYBE_PARTIAL};
	struct fl_teardown_decision decision;
	struct fl_segment segment;
	struct fl_teardown_entry *entry = read_candidate(
		&from, bpf_ntohs(skb->protocol), skb->len - ETH_HLEN, &segment, &look);

	return entry ? fl_teardown_decide(entry, &segment, &look, &decision) : FL_TEARDOWN_UP;
}

/* For the tc program behind it. FL_TEARDOWN_ANSWERED: the skb is the answer. */
static __noinline int close_skb(struct __sk_buff *skb)
{
	struct fl_source from = {.skb = skb, .ip = ETH_HLEN};
	struct fl_teardown_look look = {.checksum = FL_CHECKSUM_MAYBE_PARTIAL};
	struct fl_teardown_decision decision;
	struct fl_segment segment;
	struct fl_teardown_entry *entry = read_candidate(
		&from, bpf_ntohs(skb->protocol), skb->len - ETH_HLEN, &segment, &look);
	enum fl_teardown_verdict verdict;

	if (!entry)
		return FL_TEARDOWN_UP;
	verdict = fl_teardown_repeat(entry, &segment, &look, &decision);
	if (verdict != FL_TEARDOWN_ANSWERED)
		return verdict;
	fl_teardown_answer(&segment, entry, &look, &decision);
	return write_skb(skb, &segment) ? FL_TEARDOWN_UP : verdict;
}

/* XDP_PASS: to whoever comes next, as if we were not there. */
static __noinline int close_xdp(struct xdp_md *xdp)
{
	struct fl_source from = {.xdp = xdp, .ip = ETH_HLEN};
	struct fl_teardown_look look = {.checksum = FL_CHECKSUM_TO_VERIFY};
	struct fl_teardown_decision decision;
	struct fl_segment segment;
	struct fl_teardown_entry *entry;
	__u8 *data = (__u8 *)(long)xdp->data;
	__u8 *end = (__u8 *)(long)xdp->data_end;

	if (data + ETH_HLEN > end || data + MAX_CANDIDATE < end)
		return XDP_PASS;
	entry = read_candidate(&from, bpf_ntohs(fl_get16(data + 12)),
			       (__u32)(end - data) - ETH_HLEN, &segment, &look);
	if (!entry)
		return XDP_PASS;
	switch (fl_teardown_decide(entry, &segment, &look, &decision)) {
	case FL_TEARDOWN_TAKEN:
		count(FL_CLOSING_ACK);
		return XDP_DROP;
	case FL_TEARDOWN_ANSWERED:
		count(FL_ANSWERED_FIN);
		fl_teardown_answer(&segment, entry, &look, &decision);
		return write_xdp(xdp, &segment) ? XDP_DROP : fl_send_back(xdp);
	default:
		return XDP_PASS;
	}
}
