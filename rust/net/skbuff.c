// SPDX-License-Identifier: GPL-2.0
/*
 * Packets: operations that take several steps, or depend on how the kernel represents packets.
 *
 * A buffer that is passed in is valid, and unless it is const, the caller has the only reference
 * to the struct sk_buff.  Its data may be shared with clones of it, unless said otherwise.
 */

#include "net.h"
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/dst_metadata.h>
#include <net/tcp.h>

/*
 * Allocates a buffer for @len bytes with @headroom bytes before them, which are zeroed, as they
 * can be read.
 */
struct sk_buff *wg_skb_alloc(unsigned int headroom, unsigned int len)
{
	struct sk_buff *skb = alloc_skb(headroom + len, GFP_ATOMIC);

	if (!skb)
		return NULL;
	memset(skb->head, 0, headroom);
	skb_reserve(skb, headroom);
	return skb;
}

/*
 * Takes over @skb, which the stack transmits through @dev: a clone, if @skb is shared.  Returns
 * NULL, with @skb dropped, if there is no memory.
 *
 * The stack has bottom halves off meanwhile.  Only netconsole does not, and has all interrupts off
 * instead: releasing one of our locks would run softirqs.  Its packets are dropped.  They have an
 * Ethernet header, so that no peer could ever make sense of them.
 */
struct sk_buff *wg_skb_take(struct sk_buff *skb, struct net_device *dev)
{
	if (unlikely(irqs_disabled())) {
		DEV_STATS_INC(dev, tx_dropped);
		dev_kfree_skb_any(skb);
		return NULL;
	}
	return skb_share_check(skb, GFP_ATOMIC);
}

/*
 * Orphans @skb, which has a socket and is about to be kept, unless that is a full one to which it
 * refers, or is charged: the few fields of others are not where much of the kernel reads them, and
 * a socket that was found early need not last longer than RCU is held.
 */
void wg_skb_leave_sock(struct sk_buff *skb)
{
	if (unlikely(!skb->destructor))
		skb->sk = NULL;
	else if (unlikely(!sk_fullsock(skb->sk) || skb_sk_is_prefetched(skb)))
		skb_orphan(skb);
}

/* Returns whether @skb is routed, with the MTU of its route in @mtu. */
bool wg_skb_dst_mtu(const struct sk_buff *skb, u32 *mtu)
{
	if (!skb_valid_dst(skb))
		return false;
	*mtu = dst_mtu(skb_dst(skb));
	return true;
}

/*
 * Prepares @skb, whose socket is a full one, for being encrypted in place: its
 * flow hash is that of the plaintext, its checksum is complete, its data are not
 * shared, and it has @headroom bytes of headroom and @tailroom bytes of tailroom.
 *
 * The tailroom must come last: expanding the head loses what is written there.
 * Returns the result of skb_cow_data(), or a negative errno.
 */
int wg_skb_prepare_seal(struct sk_buff *skb, unsigned int headroom, unsigned int tailroom,
			struct sk_buff **trailer)
{
	int err;

	/*
	 * Flow dissection needs a namespace: that of the device or of the socket,
	 * unless it is one of the kernel's, which keeps none.
	 */
	if (skb->len && (skb->dev || (skb->sk && skb->sk->sk_net_refcnt)))
		skb_get_hash(skb);
	err = skb_cow_head(skb, headroom);
	if (unlikely(err))
		return err;
	if (skb->ip_summed == CHECKSUM_PARTIAL) {
		err = skb_checksum_help(skb);
		if (unlikely(err))
			return err;
	}
	return skb_cow_data(skb, tailroom, trailer);
}

/* wg_skb_contiguous() for what @skb has by itself, without packets that are chained to it. */
static void *wg_skb_contiguous_here(const struct sk_buff *skb, unsigned int offset,
				    unsigned int before, unsigned int len)
{
	const unsigned int headlen = skb_headlen(skb);
	int i;

	if (offset + len <= headlen)
		return skb_headroom(skb) + offset >= before ? skb->data + offset : NULL;
	if (offset < headlen || skb_has_shared_frag(skb) || !skb_frags_readable(skb))
		return NULL;
	offset -= headlen;
	for (i = 0; i < skb_shinfo(skb)->nr_frags; i++) {
		const skb_frag_t *frag = &skb_shinfo(skb)->frags[i];
		const unsigned int size = skb_frag_size(frag);

		if (offset < size) {
			if (skb_frag_off(frag) + offset < before || len > size - offset ||
			    PageHighMem(skb_frag_page(frag)))
				return NULL;
			return skb_frag_address(frag) + offset;
		}
		offset -= size;
	}
	return NULL;
}

/*
 * Returns where the @len bytes of @skb from @offset on are, if they and @before
 * bytes in front of them are contiguous in memory that is mapped, and no user
 * writes to the former; and NULL otherwise.  What is in front may belong to
 * another buffer, if it is that of a fragment, and change at any time.
 */
void *wg_skb_contiguous(const struct sk_buff *skb, unsigned int offset, unsigned int before,
			unsigned int len)
{
	const struct sk_buff *part;
	unsigned int own;

	if (offset > skb->len || len > skb->len - offset)
		return NULL;
	if (!skb_has_frag_list(skb))
		return wg_skb_contiguous_here(skb, offset, before, len);
	own = skb_pagelen(skb);
	if (offset < own)
		return len <= own - offset ? wg_skb_contiguous_here(skb, offset, before, len) :
					     NULL;
	offset -= own;
	skb_walk_frags(skb, part) {
		if (offset < part->len) {
			if (len > part->len - offset || skb_has_frag_list(part))
				return NULL;
			return wg_skb_contiguous_here(part, offset, before, len);
		}
		offset -= part->len;
	}
	return NULL;
}

/*
 * Scrubs @skb: all metadata except its lengths and its data are reset to those
 * of a new buffer, with all headers at the data.  If it is about to be
 * @encapsulating another header, the flow hash and the clock of its timestamp
 * are still meaningful, and are kept.
 */
void wg_skb_scrub(struct sk_buff *skb, bool encapsulating)
{
	const u8 tstamp_type = skb->tstamp_type;
	const u8 unreadable = skb->unreadable;
	const u8 l4_hash = skb->l4_hash;
	const u8 sw_hash = skb->sw_hash;
	const u32 hash = skb->hash;

	skb_scrub_packet(skb, true);
	memset(&skb->headers, 0, sizeof(skb->headers));
	/* This is about the data, and not about where they have been. */
	skb->unreadable = unreadable;
	if (encapsulating) {
		skb->tstamp_type = tstamp_type;
		skb->l4_hash = l4_hash;
		skb->sw_hash = sw_hash;
		skb->hash = hash;
	}

	/* The metadata outside of the headers group. */
	skb->dev = NULL;
	skb->mac_len = 0;
	skb->queue_mapping = 0;
	skb->nohdr = 0;
	skb->peeked = 0;
	skb->hdr_len = skb_headroom(skb);
#ifdef CONFIG_NET_SCHED
	skb->tc_index = 0;
#endif
	skb_reset_redirect(skb);

	skb_reset_mac_header(skb);
	skb_reset_network_header(skb);
	skb_reset_transport_header(skb);
	skb_probe_transport_header(skb);
	skb_reset_inner_headers(skb);
}

/*
 * Records that CPU number @cpu has sent @skb, by which XPS chooses a queue of a device.
 * This is for packets that do not come from a device: otherwise the field is that of
 * their NAPI instance.
 */
void wg_skb_set_sender_cpu(struct sk_buff *skb, unsigned int cpu)
{
#ifdef CONFIG_XPS
	if (cpu < nr_cpu_ids)
		skb->sender_cpu = cpu + 1;
#endif
}

/*
 * Returns whether @skb is a GSO packet whose segments differ only in their
 * headers: TCP or UDP, not encapsulated, from a trusted source, beginning with
 * its network header, with its checksum yet to be computed, and without a
 * request for a transmit timestamp.  Its protocol must agree, as that decides
 * how it is segmented.
 */
bool wg_skb_plain_gso(struct sk_buff *skb, bool *tcp, bool *accecn, u32 *size, int *transport)
{
	const struct skb_shared_info *shinfo = skb_shinfo(skb);
	bool v4;

	if (skb->ip_summed != CHECKSUM_PARTIAL || skb->encapsulation || skb_csum_is_sctp(skb) ||
	    shinfo->tx_flags & SKBTX_ANY_TSTAMP || shinfo->gso_size == GSO_BY_FRAGS ||
	    skb_network_offset(skb))
		return false;
	v4 = skb->protocol == htons(ETH_P_IP);
	if (!v4 && skb->protocol != htons(ETH_P_IPV6))
		return false;
	switch (shinfo->gso_type & ~(SKB_GSO_TCP_ECN | SKB_GSO_TCP_ACCECN)) {
	case SKB_GSO_TCPV4:
	case SKB_GSO_TCPV6:
		*tcp = true;
		if (skb->csum_offset != offsetof(struct tcphdr, check) ||
		    v4 != !!(shinfo->gso_type & SKB_GSO_TCPV4))
			return false;
		break;
	case SKB_GSO_UDP_L4:
		*tcp = false;
		if (skb->csum_offset != offsetof(struct udphdr, check))
			return false;
		break;
	default:
		return false;
	}
	*accecn = shinfo->gso_type & SKB_GSO_TCP_ACCECN;
	*size = shinfo->gso_size;
	*transport = skb_checksum_start_offset(skb);
	return true;
}

/*
 * Makes @skb, onto which the UDP header is about to be pushed, a GSO packet of
 * @segs datagrams with @size bytes each, except for the last.  It has no clones:
 * they would be changed, too.
 */
void wg_skb_set_udp_gso(struct sk_buff *skb, u16 size, u16 segs)
{
	struct skb_shared_info *shinfo = skb_shinfo(skb);

	shinfo->gso_type = SKB_GSO_UDP_L4;
	shinfo->gso_size = size;
	shinfo->gso_segs = segs;
	skb->ip_summed = CHECKSUM_PARTIAL;
	skb->csum_start = skb_headroom(skb) - sizeof(struct udphdr);
	skb->csum_offset = offsetof(struct udphdr, check);
}

/* Copies the metadata to @to that a packet encapsulating @from keeps. */
void wg_skb_copy_flow(struct sk_buff *to, const struct sk_buff *from)
{
	skb_copy_hash(to, from);
	to->tstamp_type = from->tstamp_type;
}

/*
 * Charges @to, which was made from @from, to the socket that @from is charged
 * to.  The @last one is charged in place of @from, so that the socket does not
 * take @from for sent.  @to is not charged yet, and its truesize does not change
 * from now on: the destructor subtracts its value at that time.
 */
void wg_skb_pass_owner(struct sk_buff *to, struct sk_buff *from, bool last)
{
	struct sock *sk = from->sk;
	int more = to->truesize;

	if (!sk || (from->destructor != tcp_wfree && from->destructor != sock_wfree))
		return;
	to->sk = sk;
	to->destructor = from->destructor;
	if (last) {
		more -= from->truesize;
		from->sk = NULL;
		from->destructor = NULL;
	}
	if (more >= 0)
		refcount_add(more, &sk->sk_wmem_alloc);
	else
		WARN_ON_ONCE(refcount_sub_and_test(-more, &sk->sk_wmem_alloc));
}

/*
 * Appends @len bytes of @page, to which a reference is taken, if a fragment is
 * left.  @skb has no clones, and is not charged.
 */
bool wg_skb_append_page(struct sk_buff *skb, struct page *page, unsigned int offset,
			unsigned int len, unsigned int truesize)
{
	const int i = skb_shinfo(skb)->nr_frags;

	if (i >= MAX_SKB_FRAGS)
		return false;
	get_page(page);
	skb_add_rx_frag(skb, i, page, offset, len, truesize);
	return true;
}

/*
 * Allocates a buffer for @len bytes of the payload of @outer.  Before them are
 * the headers of @outer, as far as they have its source and destination; they
 * must lie within the linear data or the headroom of @outer.
 */
struct sk_buff *wg_skb_alloc_inner(const struct sk_buff *outer, unsigned int len)
{
	const unsigned int udp_len = sizeof(struct udphdr);
	const unsigned int ip_len = outer->protocol == htons(ETH_P_IP) ? sizeof(struct iphdr) :
									 sizeof(struct ipv6hdr);
	struct sk_buff *skb = alloc_skb(NET_SKB_PAD + ip_len + udp_len + len, GFP_ATOMIC);

	if (!skb)
		return NULL;
	memset(skb->head, 0, NET_SKB_PAD);
	skb_reserve(skb, NET_SKB_PAD);
	skb_reset_network_header(skb);
	memcpy(skb->data, skb_network_header(outer), ip_len);
	skb_reserve(skb, ip_len);
	skb_reset_transport_header(skb);
	memcpy(skb->data, skb_transport_header(outer), udp_len);
	skb_reserve(skb, udp_len);
	skb->protocol = outer->protocol;
	skb->skb_iif = outer->skb_iif;
	return skb;
}

/*
 * Returns the size of the datagrams of @skb, whose data are their payload, or 0
 * if it is a single datagram.
 */
unsigned int wg_skb_datagram_size(const struct sk_buff *skb)
{
	const struct skb_shared_info *shinfo = skb_shinfo(skb);

	return shinfo->gso_type & SKB_GSO_UDP_L4 ? shinfo->gso_size : 0;
}

/*
 * Makes @skb, which begins with its network header, a GSO packet of @segs TCP
 * segments.  It has no clones.
 */
void wg_skb_set_tcp_gso(struct sk_buff *skb, bool v6, bool cwr, u16 size, u16 segs)
{
	struct skb_shared_info *shinfo = skb_shinfo(skb);

	shinfo->gso_type = v6 ? SKB_GSO_TCPV6 : SKB_GSO_TCPV4;
	if (cwr)
		shinfo->gso_type |= SKB_GSO_TCP_ACCECN;
	shinfo->gso_size = size;
	shinfo->gso_segs = segs;
}

/* Marks the TCP checksum, with the header at @offset, as yet to be completed. */
void wg_skb_set_tcp_partial(struct sk_buff *skb, unsigned int offset)
{
	skb_set_transport_header(skb, offset);
	skb->ip_summed = CHECKSUM_PARTIAL;
	skb->csum_start = skb_headroom(skb) + offset;
	skb->csum_offset = offsetof(struct tcphdr, check);
}

/*
 * Returns whether @skb, a GSO packet, is a consistent one of TCP: network cards are trusted to be
 * told how many segments there are.
 */
static bool wg_skb_is_sound_tcp_gso(struct sk_buff *skb)
{
	const unsigned int segs = skb_shinfo(skb)->gso_segs;
	unsigned int headers_len, payload;
	int transport;
	bool tcp, accecn;
	u32 size;

	if (!wg_skb_plain_gso(skb, &tcp, &accecn, &size, &transport) || !tcp ||
	    skb_has_frag_list(skb) || transport + sizeof(struct tcphdr) > skb_headlen(skb))
		return false;
	headers_len = transport + __tcp_hdrlen((const struct tcphdr *)(skb->data + transport));
	if (headers_len > skb_headlen(skb))
		return false;
	payload = skb->len - headers_len;
	return payload > size && payload <= segs * size && payload + size > segs * size;
}

/*
 * Passes a packet that came in by the device of @napi to the stack, which relies on this: the
 * offset of the link-layer header is that of the data, as the device has none, the part that is yet
 * to be checksummed lies within the packet, and a GSO packet is one of TCP that says what it is.
 * GRO moves data out of packets, which clones would not survive: cloned packets are not merged.
 * And it makes packets larger, which the socket that they are charged to would not know: they are
 * orphaned.  Nothing is known of @skb from an outer packet: with the IPsec state of that, ESP would
 * take it for decrypted, by an SA that may be of the other family, for which the control block is
 * not prepared.
 */
void wg_gro_receive(struct napi_struct *napi, struct sk_buff *skb)
{
	if (unlikely(!wg_skb_headers_fit(skb) ||
		     (skb->ip_summed == CHECKSUM_PARTIAL && !wg_skb_csum_is_inside(skb)) ||
		     (skb_is_gso(skb) && !wg_skb_is_sound_tcp_gso(skb)))) {
		kfree_skb(skb);
		return;
	}
	skb_orphan(skb);
	wg_skb_forget(skb);
	skb_reset_mac_header(skb);
	skb->dev = napi->dev;
	if (unlikely(skb_cloned(skb)))
		netif_receive_skb(skb);
	else
		napi_gro_receive(napi, skb);
}
