// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Splicing in the kernel: packets of spliced connections are translated (nic/splice/splice_rule.h)
 * and sent on, below every socket.
 *
 *     interface ──▶ fl_splice_xdp ──▶ packet sockets ──▶ fl_splice_ingress ──▶ steering ──▶ kernel
 *                     │ seat xdp, fl_setup_xdp behind it    │ seats tc and xdp
 *                     └──▶ out                              └──▶ out
 *
 * The tc program keeps what skbs have: super-packets stay whole, and checksums that hardware or the
 * kernel will complete stay to be completed. The XDP program takes the common packet earlier, and
 * leaves everything else, an unresolved neighbour included, to the tc program behind it.
 *
 * Whatever has no rule, and a SYN or ICMP error that has one, goes on to the next program as if we were
 * not there. The packet socket's filter (steering.bpf.c) rejects what is translated, and of what is
 * dropped here all but fl_splice_goes_up().
 *
 * Maps are made and filled by user space; `rules` is pinned and never evicts: a rule is a live
 * connection.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "nic/bpf/packet.h"
#include "nic/splice/splice_filter.h"
#include "nic/splice/splice_rule.h"
#include "nic/splice/splice_track.h"

#define AF_INET 2
#define AF_INET6 10

/* Bytes of the longest plain packet's headers. */
#define MAX_HEADERS (ETH_HLEN + FL_IPV6_HEADER + FL_TCP_HEADER + FL_MAX_OPTIONS)

/* Set before loading: the interface's own MAC address, for the XDP program. */
const volatile __u8 own_mac[ETH_ALEN] __attribute__((aligned(4))) = {};

/* The number of entries is set before loading. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct fl_splice_key);
	__type(value, struct fl_splice_rule);
} rules SEC(".maps");

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
};

/* By shard. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, FL_SPLICE_MAX_SHARDS);
	__type(key, __u32);
	__array(values, struct ring);
} events SEC(".maps");

/* By enum fl_splice_verdict, and FL_SPLICE_EVENTS_LOST. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FL_SPLICE_COUNTERS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/* The program behind the XDP program: fl_setup_xdp of steering.bpf.c, as long as its process lives. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} behind SEC(".maps");

/* Interfaces that don't take frames from an XDP program. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u8);
} not_by_xdp SEC(".maps");

static __always_inline struct fl_splice_rule *fl_splice_find(void *tables,
							     const struct fl_splice_key *key)
{
	return bpf_map_lookup_elem(&rules, key);
}

static __always_inline void count(__u32 counter)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &counter);

	if (value)
		++*value;
}

static __always_inline void tell(__u32 kind, const struct fl_splice_key *key,
				 const struct fl_splice_rule *rule,
				 const struct fl_splice_rule *peer)
{
	struct fl_splice_event event;
	__u32 shard = rule->shard;
	void *ring = bpf_map_lookup_elem(&events, &shard);

	fl_splice_describe(&event, kind, key, rule, peer);
	if (!ring || bpf_ringbuf_output(ring, &event, sizeof(event), 0))
		count(FL_SPLICE_EVENTS_LOST);
}

/* FL_SPLICE_TRANSLATED, or why the packet is to be dropped. */
static __always_inline enum fl_splice_verdict track(struct fl_splice_rule *rule,
						    const struct fl_splice_key *key,
						    const struct fl_splice_segment *segment)
{
	struct fl_splice_rule *peer;
	__u32 event;

	if (!fl_splice_count(rule, segment, bpf_ktime_get_coarse_ns()))
		return FL_SPLICE_TRANSLATED;
	peer = fl_splice_find_peer(NULL, rule);
	if (!peer)
		return FL_SPLICE_DROP_LATE;
	event = fl_splice_track(rule, peer, segment);
	if (fl_splice_is_sent_up(rule, peer))
		return FL_SPLICE_DROP_LATE;
	if (event)
		tell(event, key, rule, peer);
	return FL_SPLICE_TRANSLATED;
}

/* A SYN for a connection in the place of one that is finished: makes room for it. */
static __always_inline void forget_finished(struct fl_splice_rule *rule,
					    const struct fl_splice_key *key)
{
	struct fl_splice_rule *peer = fl_splice_find_peer(NULL, rule);
	struct fl_splice_key peer_key;

	if (!peer || !fl_splice_is_finished(rule, peer))
		return;
	fl_splice_reverse_key(&peer_key, rule);
	tell(FL_SPLICE_EVENT_REUSED, key, rule, peer);
	bpf_map_delete_elem(&rules, key);
	bpf_map_delete_elem(&rules, &peer_key);
}

/* Where a plain packet's headers are, when they can be read in place. */
struct headers {
	__u8 *ip;
	__u8 *tcp;
	__u8 *end;
};

static __always_inline int find_headers(struct headers *at, __u8 *data, __u8 *end, __u16 ether_type)
{
	__u32 size = ether_type == FL_ETH_P_IPV6 ? FL_IPV6_HEADER : FL_IPV4_HEADER;

	at->ip = data + ETH_HLEN;
	at->end = end;
	if (at->ip + FL_IPV4_HEADER + FL_TCP_HEADER > end)
		return -1;
	if (ether_type == FL_ETH_P_IPV6 && at->ip + FL_IPV6_HEADER + FL_TCP_HEADER > end)
		return -1;
	at->tcp = at->ip + size;
	return fl_is_plain(at->ip, ether_type) ? 0 : -1;
}

/*
 * The TCP checksum of an skb, whole or partial. CHECKSUM_COMPLETE, the sum of all bytes from the IP
 * header on, stays right as well: in IPv4 the header's own checksum makes up for addresses and TTL,
 * and the helper for TCP's; in IPv6 the addresses make up for the change of TCP's checksum, which the
 * helper does not know (it does with BPF_F_IPV6, from Linux 6.16), and nothing for the hop limit.
 */
static __always_inline void update_checksum(struct __sk_buff *skb, struct fl_splice_sums sums, int v6)
{
	__u32 at = ETH_HLEN + (v6 ? FL_IPV6_HEADER : FL_IPV4_HEADER) + 16;
	/* The low or high byte of its word in memory order, as the machine is. */
	const __u16 one_hop_less = (__u16)~fl_swap16((__u16)1);

	bpf_l4_csum_replace(skb, at, 0, sums.pseudo, BPF_F_PSEUDO_HDR);
	bpf_l4_csum_replace(skb, at, 0, sums.rest, 0);
	if (v6)
		bpf_csum_update(skb, fl_fold32((__u64)sums.pseudo + one_hop_less));
}

static __always_inline int send_on(const struct fl_splice_rule *rule)
{
	struct bpf_redir_neigh hop = {};
	const __u8 *address = (const __u8 *)rule->next_hop.words;

	if (rule->next_hop.words[0] == 0 && fl_get32(address + 8) == fl_swap32(0xffffu)) {
		hop.nh_family = AF_INET;
		hop.ipv4_nh = fl_get32(address + 12);
	} else {
		hop.nh_family = AF_INET6;
		__builtin_memcpy(hop.ipv6_nh, address, 16);
	}
	return bpf_redirect_neigh(rule->interface, &hop, sizeof(hop), 0);
}

/* Nonzero: a plain packet whose headers, options included, can be read in place. */
static __always_inline int is_in_place(const struct __sk_buff *skb)
{
	struct headers at;

	return !find_headers(&at, (__u8 *)(long)skb->data, (__u8 *)(long)skb->data_end,
			     bpf_ntohs(skb->protocol)) &&
	       at.tcp + (at.tcp[12] >> 4) * 4 <= at.end;
}

/* The packet is_in_place(). */
static __noinline int splice_in_place(struct __sk_buff *skb)
{
	__u16 ether_type = bpf_ntohs(skb->protocol);
	struct fl_splice_segment segment;
	struct fl_splice_extent extent = {.size = skb->len - ETH_HLEN, .gso_size = skb->gso_size};
	struct fl_splice_sums sums;
	struct fl_splice_key key;
	struct fl_splice_rule *rule;
	enum fl_splice_verdict verdict;
	struct headers at;

	if (find_headers(&at, (__u8 *)(long)skb->data, (__u8 *)(long)skb->data_end, ether_type))
		return FL_SPLICE_NO_RULE;
	fl_splice_read_key(&key, at.ip, at.tcp);
	rule = bpf_map_lookup_elem(&rules, &key);
	if (!rule)
		return FL_SPLICE_NO_RULE;
	verdict = fl_splice_judge(rule, at.ip, at.tcp, extent, &segment);
	verdict = fl_splice_judge_end(NULL, rule, verdict, at.tcp[13]);
	if (verdict == FL_SPLICE_UP_SYN && !(segment.flags & FL_TCP_ACK))
		forget_finished(rule, &key);
	if (verdict != FL_SPLICE_TRANSLATED)
		return verdict;
	if (fl_splice_translate(rule, at.ip, at.tcp, at.end, &sums))
		return FL_SPLICE_DROP_MALFORMED;
	update_checksum(skb, sums, ether_type == FL_ETH_P_IPV6);
	if (send_on(rule) != TC_ACT_REDIRECT)
		return FL_SPLICE_DROP_NO_WAY;
	return track(rule, &key, &segment);
}

/* As fl_filter() of steering.bpf.c judges. */
static __noinline int judge_loaded(struct __sk_buff *skb)
{
	__u16 ether_type = bpf_ntohs(skb->protocol);
	struct fl_source from = {.skb = skb, .ip = ETH_HLEN};
	struct fl_packet packet;

	fl_parse_packet(&from, ether_type, &packet);
	return fl_splice_judge_loaded(NULL, &from, &packet, ether_type, skb->gso_size);
}

static __always_inline int splice(struct __sk_buff *skb)
{
	int verdict;

	/* As is_for_this_interface() of steering.bpf.c. */
	if (skb->pkt_type != PACKET_HOST || (skb->vlan_present && (skb->vlan_tci & 0xfff)))
		return FL_SPLICE_NO_RULE;
	if (!is_in_place(skb)) {
		verdict = judge_loaded(skb);
		if (verdict != FL_SPLICE_TRANSLATED)
			return verdict;
		/* Plain, but its headers lie scattered. */
		if (bpf_skb_pull_data(skb, skb->len < MAX_HEADERS ? skb->len : MAX_HEADERS))
			return FL_SPLICE_DROP_NO_WAY;
	}
	return splice_in_place(skb);
}

SEC("tc")
int fl_splice_ingress(struct __sk_buff *skb)
{
	int verdict = splice(skb);

	count(verdict);
	if (verdict == FL_SPLICE_TRANSLATED)
		return TC_ACT_REDIRECT;
	if (verdict != FL_SPLICE_NO_RULE)
		fl_note_rule(skb);
	/* UNSPEC: on to the next program, as if we were not there. */
	return fl_splice_hidden_from_kernel(verdict) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

/*
 * Not attached, but run by user space (BPF_PROG_TEST_RUN) on a "packet" that is an fl_splice_wiring:
 * changes a rule in place. To write the whole rule back from user space would undo what packets have
 * changed in it meanwhile. 0: done; 1: there is no such rule.
 */
SEC("tc")
int fl_splice_rewire(struct __sk_buff *skb)
{
	struct fl_splice_wiring wiring;
	struct fl_splice_rule *rule;

	if (bpf_skb_load_bytes(skb, 0, &wiring, sizeof(wiring)))
		return 1;
	rule = bpf_map_lookup_elem(&rules, &wiring.key);
	if (!rule)
		return 1;
	rule->next_hop = wiring.next_hop;
	rule->interface = wiring.interface;
	rule->mtu = wiring.mtu;
	rule->shard = wiring.shard;
	/* What has passed meanwhile, it does not know. */
	if (__sync_fetch_and_and(&rule->state, ~FL_SPLICE_SENT_UP) & FL_SPLICE_SENT_UP)
		rule->window = FL_SPLICE_ANY_WINDOW;
	return 0;
}

/* Likewise, of the rule and its peer: from now on their packets are the process's, in that shard. 0:
 * done; 1: one of the two is not there. */
SEC("tc")
int fl_splice_send_up(struct __sk_buff *skb)
{
	struct fl_splice_rule *rule, *peer;
	struct fl_splice_wiring wiring;

	if (bpf_skb_load_bytes(skb, 0, &wiring, sizeof(wiring)))
		return 1;
	rule = bpf_map_lookup_elem(&rules, &wiring.key);
	peer = rule ? fl_splice_find_peer(NULL, rule) : NULL;
	if (!peer)
		return 1;
	rule->shard = peer->shard = wiring.shard;
	fl_splice_set_state(rule, FL_SPLICE_SENT_UP);
	fl_splice_set_state(peer, FL_SPLICE_SENT_UP);
	return 0;
}

/* The interface that the packet leaves by, and both MAC addresses; 0: the kernel can't say now. The
 * lookup is by the final destination, not the rule's next hop: the kernel refuses to look up a
 * link-local gateway. */
static __always_inline __u32 find_way(struct xdp_md *xdp, const struct fl_splice_rule *rule,
				      struct bpf_fib_lookup *way)
{
	const __u8 *source = (const __u8 *)rule->source.words;
	const __u8 *destination = (const __u8 *)rule->destination.words;

	way->l4_protocol = FL_PROTOCOL_TCP;
	way->sport = rule->source_port;
	way->dport = rule->destination_port;
	way->ifindex = rule->interface;
	if (rule->flags & FL_SPLICE_V6) {
		way->family = AF_INET6;
		__builtin_memcpy(way->ipv6_src, source, 16);
		__builtin_memcpy(way->ipv6_dst, destination, 16);
	} else {
		way->family = AF_INET;
		way->ipv4_src = fl_get32(source + 12);
		way->ipv4_dst = fl_get32(destination + 12);
	}
	if (bpf_fib_lookup(xdp, way, sizeof(*way), BPF_FIB_LOOKUP_OUTPUT) != BPF_FIB_LKUP_RET_SUCCESS)
		return 0;
	return way->ifindex;
}

static __always_inline int is_own_mac(const __u8 *mac)
{
	return fl_get32(mac) == *(const volatile __u32 *)own_mac &&
	       fl_get16(mac + 4) == *(const volatile __u16 *)(own_mac + 4);
}

SEC("xdp")
int fl_splice_xdp(struct xdp_md *xdp)
{
	__u8 *data = (__u8 *)(long)xdp->data;
	__u8 *end = (__u8 *)(long)xdp->data_end;
	struct bpf_fib_lookup way = {};
	struct fl_splice_segment segment;
	struct fl_splice_extent extent = {};
	struct fl_splice_sums sums;
	struct fl_splice_key key;
	struct fl_splice_rule *rule;
	enum fl_splice_verdict verdict;
	struct headers at;

	if (data + ETH_HLEN > end || !is_own_mac(data) ||
	    find_headers(&at, data, end, bpf_ntohs(fl_get16(data + 12))))
		return XDP_PASS;
	fl_splice_read_key(&key, at.ip, at.tcp);
	rule = bpf_map_lookup_elem(&rules, &key);
	if (!rule) {
		bpf_tail_call(xdp, &behind, 0);
		return XDP_PASS;
	}
	extent.size = (__u32)(end - at.ip);
	verdict = fl_splice_judge(rule, at.ip, at.tcp, extent, &segment);
	if (fl_splice_judge_end(NULL, rule, verdict, at.tcp[13]) != FL_SPLICE_TRANSLATED ||
	    !find_way(xdp, rule, &way) || bpf_map_lookup_elem(&not_by_xdp, &way.ifindex) ||
	    fl_splice_translate(rule, at.ip, at.tcp, end, &sums))
		return XDP_PASS;
	fl_splice_complete_checksum(at.tcp, sums, 0);
	__builtin_memcpy(data, way.dmac, ETH_ALEN);
	__builtin_memcpy(data + ETH_ALEN, way.smac, ETH_ALEN);
	verdict = track(rule, &key, &segment);
	count(verdict);
	if (verdict != FL_SPLICE_TRANSLATED)
		return XDP_DROP;
	if (way.ifindex == xdp->ingress_ifindex)
		return fl_send_back(xdp);
	return (int)bpf_redirect(way.ifindex, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
