// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Steering in the kernel: three small programs over the same rule (nic/steering/steering_rule.h)
 * and the same tables.
 *
 *     interface ──▶ packet sockets' fan-out (fl_fanout) ──▶ socket's filter (fl_filter)
 *               └─▶ tc ingress (fl_ingress) ──▶ kernel
 *
 * Packets of spliced connections are translated by splice.bpf.c, which runs before fl_ingress; and
 * SYNs to listeners in `setup_listeners` are answered by fl_ingress, or by fl_setup_xdp before all
 * others (setup_answer.h). The packet socket sees packets before the tc programs do, so that its filter
 * has to know which those are. So are packets of connections in `teardown_flows` (teardown_answer.h), by
 * the ..._closing variants of these programs, for kernels that have compare-and-swap (Linux 5.12).
 *
 * Maps are filled by nic/steering/steering.cc; `rules` is the one of splice.bpf.c, or stays empty.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "nic/bpf/packet.h"
#include "nic/setup/setup_tables.h"
#include "nic/splice/splice_filter.h"
#include "nic/steering/steering_rule.h"
#include "nic/teardown/teardown_tables.h"

#define MAX_LISTENERS 8192
#define MAX_ADDRESSES 4096

/* Set before loading. */
const volatile __u64 hash_seed = 0;
const volatile __u32 shards = 1;
/* A packet that has a rule is for the rule's shard, whatever its hash: rules found after a restart
 * may be of another number of shards. */
const volatile __u8 shard_by_rule = 0;
/* splice.bpf.c runs here, too: what it translates is not for the packet socket. */
const volatile __u8 splices = 1;
const volatile __u8 answers_syns = 0;

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

/* Listeners whose SYNs are answered here. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_LISTENERS);
	__type(key, struct fl_listener);
	__type(value, struct fl_setup_listener);
} setup_listeners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fl_setup_secrets);
} setup_secrets SEC(".maps");

/* Connections in teardown; written by the process, without a system call. As many buckets as are set
 * before loading. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fl_teardown_bucket);
} teardown_flows SEC(".maps");

/* By enum fl_verdict. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FL_VERDICTS);
	__type(key, __u32);
	__type(value, __u64);
} verdicts SEC(".maps");

static __always_inline void count(__u32 verdict)
{
	__u64 *value = bpf_map_lookup_elem(&verdicts, &verdict);

	if (value)
		++*value;
}

#include "nic/bpf/setup_answer.h"
#include "nic/bpf/teardown_answer.h"

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

static __always_inline enum fl_verdict verdict_of(struct fl_source *from, struct fl_packet *packet)
{
	if (!is_for_this_interface(from->skb))
		return FL_PASS_NOT_HERE;
	fl_parse_packet(from, bpf_ntohs(from->skb->protocol), packet);
	return fl_steer(NULL, packet);
}

/*
 * The first of two looks at a packet, in a function of its own because their stack frames together are
 * larger than the verifier allows: an fl_verdict, with LISTENERS_SYN when a listener's SYN is to be
 * looked at again, or CANDIDATE when it may be an ordinary packet of a connection in teardown.
 */
#define LISTENERS_SYN 0x100
#define CANDIDATE 0x200

static __always_inline int with_second_look(const struct __sk_buff *skb, enum fl_verdict verdict,
					    const struct fl_packet *packet)
{
	if (verdict != FL_OURS_LISTENER && verdict != FL_OURS_LOCAL_PORT)
		return verdict;
	if (answers_syns && verdict == FL_OURS_LISTENER && fl_is_syn(packet->flags))
		return verdict | LISTENERS_SYN;
	if ((packet->flags | FL_TCP_FIN) == (FL_TCP_ACK | FL_TCP_FIN) && skb->len <= MAX_CANDIDATE)
		return verdict | CANDIDATE;
	return verdict;
}

static __always_inline int defers(struct __sk_buff *skb, int verdict)
{
	return answers_syns && verdict == (FL_OURS_LISTENER | CANDIDATE) && defers_skb(skb);
}

static __noinline int steer(struct __sk_buff *skb)
{
	struct fl_source from = {.skb = skb, .ip = ETH_HLEN};
	struct fl_packet packet;
	enum fl_verdict verdict = verdict_of(&from, &packet);

	return with_second_look(skb, verdict, &packet);
}

static __always_inline int ingress(struct __sk_buff *skb, int closes)
{
	int verdict = steer(skb);
	int looks = fl_had_rule(skb) ? 0 : verdict;
	int closing = FL_TEARDOWN_UP;

	if (looks & LISTENERS_SYN && answer_skb(skb) == FL_SETUP_ANSWERED) {
		count(FL_ANSWERED_SYN);
		return (int)bpf_redirect(skb->ifindex, 0);
	}
	if (defers(skb, looks)) {
		count(FL_DEFERRED_ACK);
		return TC_ACT_SHOT;
	}
	if (closes && looks & CANDIDATE)
		closing = close_skb(skb);
	if (closing == FL_TEARDOWN_ANSWERED) {
		count(FL_ANSWERED_FIN);
		return (int)bpf_redirect(skb->ifindex, 0);
	}
	verdict &= ~(LISTENERS_SYN | CANDIDATE);
	count(closing == FL_TEARDOWN_TAKEN ? FL_CLOSING_ACK : verdict);
	/* UNSPEC: on to the next program, as if we were not there. */
	return fl_hidden_from_kernel(verdict) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

SEC("tc")
int fl_ingress(struct __sk_buff *skb)
{
	return ingress(skb, 0);
}

SEC("tc")
int fl_ingress_closing(struct __sk_buff *skb)
{
	return ingress(skb, 1);
}

/* As steer(), or -1: not for the socket. */
static __noinline int steer_to_socket(struct __sk_buff *skb)
{
	struct fl_source from = {.skb = skb, .ip = ETH_HLEN};
	struct fl_packet packet;
	enum fl_verdict verdict = verdict_of(&from, &packet);
	enum fl_splice_verdict splice;

	if (!fl_goes_to_host_stack(verdict))
		return -1;
	if (!splices)
		return with_second_look(skb, verdict, &packet);
	splice = fl_splice_judge_loaded(NULL, &from, &packet, bpf_ntohs(skb->protocol), skb->gso_size);
	if (splice == FL_SPLICE_NO_RULE)
		return with_second_look(skb, verdict, &packet);
	return fl_splice_goes_up(splice) ? (int)verdict : -1;
}

static __always_inline int filter(struct __sk_buff *skb, int closes)
{
	int verdict = steer_to_socket(skb);

	if (verdict < 0 || (verdict & LISTENERS_SYN && will_answer(skb)))
		return 0;
	if (defers(skb, verdict))
		return 0;
	if (closes && verdict & CANDIDATE && decide_skb(skb) != FL_TEARDOWN_UP)
		return 0;
	return -1;
}

/* Returns how many bytes of the packet the socket gets. */
SEC("socket")
int fl_filter(struct __sk_buff *skb)
{
	return filter(skb, 0);
}

SEC("socket")
int fl_filter_closing(struct __sk_buff *skb)
{
	return filter(skb, 1);
}

/* Called by fl_splice_xdp for what has no rule and has come to this interface's own address. */
SEC("xdp")
int fl_setup_xdp(struct xdp_md *xdp)
{
	return answer_xdp(xdp);
}

SEC("xdp")
int fl_setup_xdp_closing(struct xdp_md *xdp)
{
	int action = close_xdp(xdp);

	return action == XDP_PASS ? answer_xdp(xdp) : action;
}

/* Returns the number of the socket in the fan-out group. */
SEC("socket")
int fl_fanout(struct __sk_buff *skb)
{
	struct fl_source from = {.skb = skb, .ip = 0};
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
