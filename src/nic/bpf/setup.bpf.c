// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Connection setup in the kernel: SYNs to our listeners are answered where they come in
 * (nic/setup/setup_rule.h) and reach no socket. ACKs are for the daemon, which confirms them with the
 * same secrets.
 *
 *     interface ──▶ fl_setup_xdp ──▶ packet sockets ──▶ fl_setup_ingress ──▶ splicing, steering
 *           ▲          │ seat xdp                          │ seats tc and xdp
 *           └──────────┴───────────────────────────────────┘
 *
 * A SYN that is not answered, and all that is none, goes on as if we were not there. The packet
 * socket sees a SYN before the tc program answers it: whoever reads from that socket must not answer
 * as well.
 *
 * Maps are filled by user space.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "nic/setup/setup_rule.h"

#define MAX_LISTENERS 8192
#define MAX_ADDRESSES 4096

/* Set before loading: the interface's own MAC address, for the XDP program. */
const volatile __u8 own_mac[ETH_ALEN] __attribute__((aligned(4))) = {};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_LISTENERS);
	__type(key, struct fl_listener);
	__type(value, struct fl_setup_listener);
} setup_listeners SEC(".maps");

/* This machine's own, for listeners on the unspecified address. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ADDRESSES);
	__type(key, struct fl_address);
	__type(value, __u8);
} addresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fl_setup_secrets);
} setup_secrets SEC(".maps");

/* By enum fl_setup_verdict. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FL_SETUP_VERDICTS);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

/* What a packet is read through: one of the two. */
struct source {
	struct __sk_buff *skb;
	struct xdp_md *xdp;
};

FL_INLINE int fl_load(void *packet, __u32 offset, void *to, __u32 size)
{
	const struct source *from = packet;

	if (from->skb)
		return bpf_skb_load_bytes(from->skb, ETH_HLEN + offset, to, size) != 0;
	return bpf_xdp_load_bytes(from->xdp, ETH_HLEN + offset, to, size) != 0;
}

static __always_inline void count(__u32 counter)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &counter);

	if (value)
		++*value;
}

static __always_inline struct fl_setup_listener *find_listener(const struct fl_setup_packet *packet,
							       const struct fl_setup_tuple *tuple)
{
	struct fl_listener key = {.address = tuple->destination,
				  .port = bpf_ntohs(tuple->destination_port),
				  .reserved = {}};
	struct fl_setup_listener *listener = bpf_map_lookup_elem(&setup_listeners, &key);

	if (listener)
		return listener;
	if (packet->ether_type == FL_ETH_P_IP)
		__builtin_memset((__u8 *)key.address.words + 12, 0, 4);
	else
		__builtin_memset(key.address.words, 0, 16);
	listener = bpf_map_lookup_elem(&setup_listeners, &key);
	if (!listener || !bpf_map_lookup_elem(&addresses, &tuple->destination))
		return NULL;
	return listener;
}

/* `size`: of the packet from its IP header on. */
static __always_inline enum fl_setup_verdict answer(struct source *from, __u16 ether_type, __u32 size,
						    enum fl_setup_checksum checksum,
						    struct fl_setup_packet *packet)
{
	struct fl_setup_listener *listener;
	struct fl_setup_secrets *secrets;
	struct fl_setup_tuple tuple;
	__u32 key = 0;

	if (fl_setup_read(from, ether_type, size, packet) || !fl_setup_is_syn(packet))
		return FL_SETUP_NOT_OURS;
	fl_setup_read_tuple(packet, &tuple);
	listener = find_listener(packet, &tuple);
	secrets = bpf_map_lookup_elem(&setup_secrets, &key);
	if (!listener || !secrets || fl_setup_read_options(from, packet))
		return FL_SETUP_NOT_OURS;
	return fl_setup_answer(packet, &tuple, listener, secrets,
			       fl_setup_time_of(bpf_ktime_get_ns()), checksum);
}

/* Of the whole TCP header, as the verifier wants to see it: 20 to 60. */
static __always_inline __u32 tcp_size_of(const struct fl_setup_packet *packet)
{
	__u32 size = packet->tcp_size;

	fl_forget(size);
	return size < FL_TCP_HEADER || size > FL_TCP_HEADER + FL_MAX_OPTIONS ? FL_TCP_HEADER : size;
}

/* With what has changed, a whole sum that the skb carries (CHECKSUM_COMPLETE) stays right. */
static __always_inline int write_skb(struct __sk_buff *skb, struct fl_setup_packet *packet)
{
	__u8 macs[2 * ETH_ALEN];
	__u8 swapped[2 * ETH_ALEN];

	if (bpf_skb_load_bytes(skb, 0, macs, sizeof(macs)))
		return -1;
	__builtin_memcpy(swapped, macs + ETH_ALEN, ETH_ALEN);
	__builtin_memcpy(swapped + ETH_ALEN, macs, ETH_ALEN);
	return bpf_skb_store_bytes(skb, 0, swapped, sizeof(swapped), BPF_F_RECOMPUTE_CSUM) ||
	       bpf_skb_store_bytes(skb, ETH_HLEN, packet->ip,
				   packet->ip_size == FL_IPV6_HEADER ? FL_IPV6_HEADER : FL_IPV4_HEADER,
				   BPF_F_RECOMPUTE_CSUM) ||
	       bpf_skb_store_bytes(skb, ETH_HLEN + packet->ip_size, packet->tcp, tcp_size_of(packet),
				   BPF_F_RECOMPUTE_CSUM);
}

static __always_inline int write_xdp(struct xdp_md *xdp, struct fl_setup_packet *packet)
{
	__u8 macs[2 * ETH_ALEN];
	__u8 swapped[2 * ETH_ALEN];

	if (bpf_xdp_load_bytes(xdp, 0, macs, sizeof(macs)))
		return -1;
	__builtin_memcpy(swapped, macs + ETH_ALEN, ETH_ALEN);
	__builtin_memcpy(swapped + ETH_ALEN, macs, ETH_ALEN);
	return bpf_xdp_store_bytes(xdp, 0, swapped, sizeof(swapped)) ||
	       bpf_xdp_store_bytes(xdp, ETH_HLEN, packet->ip,
				   packet->ip_size == FL_IPV6_HEADER ? FL_IPV6_HEADER
								     : FL_IPV4_HEADER) ||
	       bpf_xdp_store_bytes(xdp, ETH_HLEN + packet->ip_size, packet->tcp,
				   tcp_size_of(packet));
}

SEC("tc")
int fl_setup_ingress(struct __sk_buff *skb)
{
	struct source from = {.skb = skb};
	struct fl_setup_packet packet;
	enum fl_setup_verdict verdict;

	/* As is_for_this_interface() of steering.bpf.c. */
	if (skb->pkt_type != PACKET_HOST || (skb->vlan_present && (skb->vlan_tci & 0xfff)))
		return TC_ACT_UNSPEC;
	verdict = answer(&from, bpf_ntohs(skb->protocol), skb->len - ETH_HLEN,
			 FL_CHECKSUM_MAYBE_PARTIAL, &packet);
	count(verdict);
	if (verdict != FL_SETUP_ANSWERED)
		return TC_ACT_UNSPEC;
	if (write_skb(skb, &packet))
		return TC_ACT_SHOT;
	return (int)bpf_redirect(skb->ifindex, 0);
}

static __always_inline int is_own_mac(const __u8 *mac)
{
	return fl_get32(mac) == *(const volatile __u32 *)own_mac &&
	       fl_get16(mac + 4) == *(const volatile __u16 *)(own_mac + 4);
}

SEC("xdp")
int fl_setup_xdp(struct xdp_md *xdp)
{
	__u8 *data = (__u8 *)(long)xdp->data;
	__u8 *end = (__u8 *)(long)xdp->data_end;
	struct source from = {.xdp = xdp};
	struct fl_setup_packet packet;
	enum fl_setup_verdict verdict;

	if (data + ETH_HLEN > end || !is_own_mac(data))
		return XDP_PASS;
	verdict = answer(&from, bpf_ntohs(fl_get16(data + 12)), (__u32)(end - data) - ETH_HLEN,
			 FL_CHECKSUM_TO_VERIFY, &packet);
	/* The tc program counts what it sees again. */
	if (verdict != FL_SETUP_ANSWERED)
		return XDP_PASS;
	count(verdict);
	return write_xdp(xdp, &packet) ? XDP_DROP : XDP_TX;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
