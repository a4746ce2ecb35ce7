/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The symmetric flow hash: which shard a connection belongs to. Plain C, for the kernel programs and
 * for user space, so that both always agree.
 *
 *     flow_hash(local, remote) == flow_hash(remote, local)
 *
 * Each endpoint is mixed on its own and the two are added, which does not care about their order.
 * Keyed by a seed, so that an outsider can't compute which addresses fall on one shard; the mixing
 * is multiply-xorshift, not a cryptographic hash: what leaks is at worst an uneven load.
 */
#pragma once

#include <linux/types.h>

/* An address in 16 bytes, network order; IPv4 as ::ffff:a.b.c.d. */
struct fl_address {
	__u64 words[2];
};

struct fl_endpoint {
	struct fl_address address;
	__u16 port; /* host order */
};

/* Odd constants with well-spread bits (splitmix64). */
#define FL_MIX_1 0xbf58476d1ce4e5b9ULL
#define FL_MIX_2 0x94d049bb133111ebULL

static inline __attribute__((always_inline)) __u64 fl_mix(__u64 hash)
{
	hash ^= hash >> 32;
	hash *= FL_MIX_1;
	hash ^= hash >> 29;
	return hash;
}

static inline __attribute__((always_inline)) __u64
fl_endpoint_hash(const struct fl_endpoint *endpoint, __u64 seed)
{
	__u64 hash = fl_mix(seed ^ endpoint->address.words[0]);

	hash = fl_mix(hash ^ endpoint->address.words[1]);
	return fl_mix(hash ^ endpoint->port);
}

static inline __attribute__((always_inline)) __u32
fl_flow_hash(const struct fl_endpoint *a, const struct fl_endpoint *b, __u64 seed)
{
	__u64 hash = fl_endpoint_hash(a, seed) + fl_endpoint_hash(b, seed);

	return (__u32)((hash * FL_MIX_2) >> 32);
}

/* The shard of a flow, 0 .. shards - 1: the hash scaled, not its remainder. */
static inline __attribute__((always_inline)) __u32 fl_shard(__u32 hash, __u32 shards)
{
	return (__u32)(((__u64)hash * shards) >> 32);
}
