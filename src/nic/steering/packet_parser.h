/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What steering has to know of a packet: is it TCP, or an ICMP error about TCP, and between which
 * endpoints. Plain C, no libc, no loop without a bound: compiled into the kernel programs and into
 * user-space tests.
 *
 * A packet is read in small pieces through fl_load(), which the including file defines: offset
 * counts from the IP header; nonzero means "there are not that many bytes". In the kernel it is
 * nic/bpf/packet.h's, which does not care whether the bytes are in the linear part.
 *
 * "local" and "remote" are as this machine sees them: the destination of a packet that came in, and
 * for an ICMP error the source of the packet it quotes.
 */
#pragma once

#include "nic/steering/packet_fields.h"

enum fl_kind {
	FL_KIND_OTHER,        /* neither of the following, or malformed */
	FL_KIND_TCP,          /* a TCP segment */
	FL_KIND_TCP_FRAGMENT, /* the first fragment of one */
	FL_KIND_ICMP_ERROR,   /* destination unreachable, packet too big, time exceeded; about TCP */
};

struct fl_packet {
	enum fl_kind kind;
	struct fl_endpoint local;
	struct fl_endpoint remote;
	__u8 flags; /* of TCP */
};

/* RFC 8200 section 4.1 names fewer; a packet with more is none of ours. */
#define FL_MAX_EXTENSION_HEADERS 6

/* Defined by the including file. */
FL_INLINE int fl_load(void *packet, __u32 offset, void *to, __u32 size);

/* Where an IP header leads to. */
struct fl_ip {
	struct fl_address source;
	struct fl_address destination;
	__u32 payload; /* offset of the upper-layer header */
	__u8 protocol;
	__u8 first_fragment;
};

/* Nonzero: malformed, or a fragment without the upper-layer header. RFC 791 section 3.1. */
FL_INLINE int fl_parse_ipv4(void *packet, __u32 offset, struct fl_ip *ip)
{
	__u8 header[20];
	__u16 fragment;
	__u32 header_size;

	if (fl_load(packet, offset, header, sizeof(header)))
		return -1;
	header_size = (header[0] & 0x0fu) * 4u;
	if (header[0] >> 4 != 4 || header_size < sizeof(header))
		return -1;
	fragment = fl_be16(header + 6);
	if (fragment & 0x1fff)
		return -1;
	ip->first_fragment = (fragment & 0x2000) != 0;
	ip->protocol = header[9];
	ip->payload = offset + header_size;
	ip->source = fl_address_v4(header + 12);
	ip->destination = fl_address_v4(header + 16);
	return 0;
}

/* The same for IPv6, behind its extension headers. RFC 8200 sections 3 and 4. */
FL_INLINE int fl_parse_ipv6(void *packet, __u32 offset, struct fl_ip *ip)
{
	__u8 header[40];
	__u8 extension[4];
	int i;

	if (fl_load(packet, offset, header, sizeof(header)) || header[0] >> 4 != 6)
		return -1;
	ip->source = fl_address_v6(header + 8);
	ip->destination = fl_address_v6(header + 24);
	ip->protocol = header[6];
	ip->payload = offset + sizeof(header);
	ip->first_fragment = 0;
#pragma clang loop unroll(disable)
	for (i = 0; i < FL_MAX_EXTENSION_HEADERS; ++i) {
		if (ip->protocol == FL_PROTOCOL_TCP || ip->protocol == FL_PROTOCOL_ICMPV6)
			return 0;
		if (ip->protocol != FL_PROTOCOL_HOP_BY_HOP && ip->protocol != FL_PROTOCOL_ROUTING &&
		    ip->protocol != FL_PROTOCOL_DESTINATION_OPTIONS &&
		    ip->protocol != FL_PROTOCOL_FRAGMENT)
			return -1;
		if (fl_load(packet, ip->payload, extension, sizeof(extension)))
			return -1;
		if (ip->protocol == FL_PROTOCOL_FRAGMENT) {
			if (fl_be16(extension + 2) & 0xfff8)
				return -1;
			ip->first_fragment = 1;
			ip->payload += 8;
		} else {
			ip->payload += (extension[1] + 1u) * 8u;
		}
		ip->protocol = extension[0];
	}
	return ip->protocol == FL_PROTOCOL_TCP || ip->protocol == FL_PROTOCOL_ICMPV6 ? 0 : -1;
}

FL_INLINE int fl_parse_ip(void *packet, __u16 ether_type, __u32 offset, struct fl_ip *ip)
{
	if (ether_type == FL_ETH_P_IP)
		return fl_parse_ipv4(packet, offset, ip);
	if (ether_type == FL_ETH_P_IPV6)
		return fl_parse_ipv6(packet, offset, ip);
	return -1;
}

/* RFC 792; RFC 4443 section 3: unreachable (and IPv4's fragmentation needed), too big, time exceeded. */
FL_INLINE int fl_is_icmp_error(__u8 protocol, __u8 type)
{
	if (protocol == FL_PROTOCOL_ICMP)
		return type == 3 || type == 11;
	return protocol == FL_PROTOCOL_ICMPV6 && type >= 1 && type <= 3;
}

/* The packet an ICMP error quotes: ours is its source. */
FL_INLINE void fl_parse_quoted(void *packet, __u16 ether_type, const struct fl_ip *outer,
			       struct fl_packet *out)
{
	struct fl_ip quoted = {};
	__u8 bytes[4];

	if (fl_load(packet, outer->payload, bytes, sizeof(bytes)) ||
	    !fl_is_icmp_error(outer->protocol, bytes[0]))
		return;
	if (fl_parse_ip(packet, ether_type, outer->payload + 8, &quoted) ||
	    quoted.protocol != FL_PROTOCOL_TCP ||
	    fl_load(packet, quoted.payload, bytes, sizeof(bytes)))
		return;
	out->kind = FL_KIND_ICMP_ERROR;
	out->local.address = quoted.source;
	out->local.port = fl_be16(bytes);
	out->remote.address = quoted.destination;
	out->remote.port = fl_be16(bytes + 2);
}

/* Reads the packet whose IP header is at offset 0. out->kind is always set, the rest unless OTHER. */
FL_INLINE void fl_parse_packet(void *packet, __u16 ether_type, struct fl_packet *out)
{
	struct fl_ip ip = {};
	__u8 ports[4];

	__builtin_memset(out, 0, sizeof(*out));
	if (fl_parse_ip(packet, ether_type, 0, &ip))
		return;
	if (ip.protocol == FL_PROTOCOL_TCP) {
		if (fl_load(packet, ip.payload, ports, sizeof(ports)))
			return;
		if (!ip.first_fragment)
			fl_load(packet, ip.payload + 13, &out->flags, 1);
		out->kind = ip.first_fragment ? FL_KIND_TCP_FRAGMENT : FL_KIND_TCP;
		out->local.address = ip.destination;
		out->local.port = fl_be16(ports + 2);
		out->remote.address = ip.source;
		out->remote.port = fl_be16(ports);
	} else if (!ip.first_fragment) {
		fl_parse_quoted(packet, ether_type, &ip, out);
	}
}
