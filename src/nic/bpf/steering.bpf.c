// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Steering in the kernel: three small programs over the same rule (nic/steering/steering_rule.h)
 * and the same tables.
 *
 *     interface ──▶ packet sockets' fan-out (fl_fanout) ──▶ socket's filter (fl_filter)
 *               └─▶ tc ingress (fl_ingress) ──▶ kernel
 *
 * Packets of spliced connections are translated by splice.bpf.c, which runs before fl_ingress; the
 * packet socket sees them earlier still, so that its filter has to know which they are.
 *
 * Maps are filled by nic/steering/steering.cc; `rules` is the one of splice.bpf.c, or stays empty.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "nic/bpf/skb_load.h"
#include "nic/splice/splice_filter.h"
#include "nic/steering/steering_rule.h"

#define MAX_LISTENERS 8192
#define MAX_ADDRESSES 4096

/* Set before loading. */
const volatile __u64 hash_seed = 0;
const volatile __u32 shards = 1;
/* A packet that has a rule is for the rule's shard, whatever its hash: rules found after a restart
 * may be of another number of shards. */
const volatile __u8 shard_by_rule = 0;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_LISTENERS);
	__type(key, struct fl_listener);
	__type(value, __u8);
} listeners SEC(".maps");

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
	__type(value, struct fl_port_range);
} local_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct fl_splice_key);
	__type(value, struct fl_splice_rule);
} rules SEC(".maps");

/* By enum fl_verdict. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FL_VERDICTS);
	__type(key, __u32);
	__type(value, __u64);
} verdicts SEC(".maps");

static __always_inline int fl_has_listener(void *tables, const struct fl_listener *key)
{
	return bpf_map_lookup_elem(&listeners, key) != NULL;
}

static __always_inline int fl_has_address(void *tables, const struct fl_address *address)
{
	return bpf_map_lookup_elem(&addresses, address) != NULL;
}

static __always_inline struct fl_port_range fl_local_ports(void *tables)
{
	const struct fl_port_range none = {.first = 1, .last = 0};
	__u32 key = 0;
	struct fl_port_range *range = bpf_map_lookup_elem(&local_ports, &key);

	return range ? *range : none;
}

static __always_inline struct fl_splice_rule *fl_splice_find(void *tables,
							     const struct fl_splice_key *key)
{
	return bpf_map_lookup_elem(&rules, key);
}

/* Sent to this interface's own address, and on no VLAN: a tag other than a mere priority means the
 * packet belongs to a VLAN interface on top of this one, where it is seen again, untagged. */
static __always_inline int is_for_this_interface(const struct __sk_buff *skb)
{
	return skb->pkt_type == PACKET_HOST && !(skb->vlan_present && (skb->vlan_tci & 0xfff));
}

static __always_inline enum fl_verdict verdict_of(struct fl_skb *from, struct fl_packet *packet)
{
	if (!is_for_this_interface(from->skb))
		return FL_PASS_NOT_HERE;
	fl_parse_packet(from, bpf_ntohs(from->skb->protocol), packet);
	return fl_steer(NULL, packet);
}

SEC("tc")
int fl_ingress(struct __sk_buff *skb)
{
	struct fl_skb from = {.skb = skb, .ip = ETH_HLEN};
	struct fl_packet packet;
	enum fl_verdict verdict = verdict_of(&from, &packet);
	__u32 key = verdict;
	__u64 *count = bpf_map_lookup_elem(&verdicts, &key);

	if (count)
		++*count;
	/* UNSPEC: on to the next program, as if we were not there. */
	return fl_hidden_from_kernel(verdict) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

/* Returns how many bytes of the packet the socket gets. */
SEC("socket")
int fl_filter(struct __sk_buff *skb)
{
	struct fl_skb from = {.skb = skb, .ip = ETH_HLEN};
	struct fl_packet packet;
	enum fl_splice_verdict splice;

	if (!fl_goes_to_host_stack(verdict_of(&from, &packet)))
		return 0;
	splice = fl_splice_judge_loaded(NULL, &from, &packet, bpf_ntohs(skb->protocol), skb->gso_size);
	return fl_splice_goes_up(splice) ? -1 : 0;
}

/* Returns the number of the socket in the fan-out group. */
SEC("socket")
int fl_fanout(struct __sk_buff *skb)
{
	struct fl_skb from = {.skb = skb, .ip = 0};
	const struct fl_splice_rule *rule;
	struct fl_splice_key key;
	struct fl_packet packet;

	fl_parse_packet(&from, bpf_ntohs(skb->protocol), &packet);
	if (packet.kind == FL_KIND_OTHER)
		return 0;
	if (shard_by_rule) {
		fl_splice_key_of(&key, &packet);
		rule = fl_splice_find(NULL, &key);
		if (rule && rule->shard < shards)
			return rule->shard;
	}
	return (int)fl_shard(fl_flow_hash(&packet.local, &packet.remote, hash_seed), shards);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
