// SPDX-License-Identifier: GPL-2.0
/*
 * Packets: what takes several steps on one, or depends on how the kernel keeps it.
 *
 * A buffer that is passed in is valid, and its caller's alone unless it is const: nobody else
 * has a reference to the struct sk_buff.  Its data may be shared with clones of it, which is
 * said where they must not be.
 */

#include "net.h"
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/dst_metadata.h>
#include <net/tcp.h>

/*
 * Allocates a buffer for @len bytes with @headroom bytes before them, which are zeros, as they
 * can be looked at.
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
 * Takes over @skb, which the stack wants to leave by @dev: if somebody else has a reference, a
 * clone.  Returns NULL, with @skb dropped, if there is no memory.
 *
 * The stack keeps bottom halves off meanwhile.  Only a network console does not, but has all
 * interrupts off instead: as soon as one of our locks were released, softirqs would run.  What it
 * sends is dropped.  It has a header of Ethernet, so that no peer has ever made sense of it.
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

/* Returns whether @skb is routed, with the MTU of its route in @mtu. */
bool wg_skb_dst_mtu(const struct sk_buff *skb, u32 *mtu)
{
	if (!skb_valid_dst(skb))
		return false;
	*mtu = dst_mtu(skb_dst(skb));
	return true;
}

/*
 * Readies @skb for being encrypted in place: its flow hash is that of the
 * plaintext, nothing is left to checksum, its data are its own, @headroom
 * bytes are free before and @tailroom behind them.
 *
 * The tailroom must come last: what is written there is lost by whatever
 * expands the head.  Returns what skb_cow_data() does, or a negative errno.
 */
int wg_skb_prepare_seal(struct sk_buff *skb, unsigned int headroom, unsigned int tailroom,
			struct sk_buff **trailer)
{
	int err;

	/* Of a packet that is of no namespace, there is none to look for. */
	if (skb->len && (skb->dev || skb->sk))
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

/*
 * Returns where the @len bytes of @skb from @offset on are, if they and @before
 * bytes in front of them lie in one piece of memory that is mapped and that no
 * user writes to, and NULL otherwise.
 */
void *wg_skb_in_one_piece(const struct sk_buff *skb, unsigned int offset, unsigned int before,
			  unsigned int len)
{
	const unsigned int headlen = skb_headlen(skb);
	int i;

	if (offset > skb->len || len > skb->len - offset)
		return NULL;
	if (offset + len <= headlen)
		return skb_headroom(skb) + offset >= before ? skb->data + offset : NULL;
	if (offset < headlen || skb_has_frag_list(skb) || skb_has_shared_frag(skb) ||
	    !skb_frags_readable(skb))
		return NULL;
	offset -= headlen;
	for (i = 0; i < skb_shinfo(skb)->nr_frags; i++) {
		const skb_frag_t *frag = &skb_shinfo(skb)->frags[i];
		const unsigned int size = skb_frag_size(frag);

		if (offset < size) {
			if (offset < before || len > size - offset ||
			    PageHighMem(skb_frag_page(frag)))
				return NULL;
			return skb_frag_address(frag) + offset;
		}
		offset -= size;
	}
	return NULL;
}

/*
 * Makes @skb forget where it has been: all metadata but its lengths and its
 * data go back to what a fresh buffer has, with all headers at the data.  When
 * it is about to be @encapsulating another header, the flow hash and the clock
 * of its time stamp still mean something, and are kept.
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
	/* It is said of the data, and not of where they have been. */
	skb->unreadable = unreadable;
	if (encapsulating) {
		skb->tstamp_type = tstamp_type;
		skb->l4_hash = l4_hash;
		skb->sw_hash = sw_hash;
		skb->hash = hash;
	}

	/* What of the metadata lies outside the headers group. */
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
 * Notes that CPU number @cpu has sent @skb, for whoever chooses a queue of a device by
 * that.  It is for packets that do not come from a device: the field is that of their
 * NAPI instance otherwise.
 */
void wg_skb_set_sender_cpu(struct sk_buff *skb, unsigned int cpu)
{
#ifdef CONFIG_XPS
	if (cpu < nr_cpu_ids)
		skb->sender_cpu = cpu + 1;
#endif
}

/*
 * Returns whether @skb is a large packet of which the segments differ in their
 * headers only: one of TCP or UDP, as it is and not within something else, from
 * a source that is trusted, beginning with its network header, with its checksum
 * yet to be computed, and of which nobody wants to know when it is sent.  Its
 * protocol says that, too: it decides who segments it.
 */
bool wg_skb_plain_gso(struct sk_buff *skb, bool *tcp, bool *accecn, u32 *size, int *transport)
{
	const struct skb_shared_info *shinfo = skb_shinfo(skb);
	bool v4;

	if (skb->ip_summed != CHECKSUM_PARTIAL || skb->encapsulation || skb_csum_is_sctp(skb) ||
	    shinfo->tx_flags & SKBTX_ANY_TSTAMP || skb_network_offset(skb))
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
 * Says that @skb, of which the UDP header is about to be pushed, stands for
 * @segs datagrams with @size bytes each, save for the last.  It has no clones:
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

/* Gives @to what a packet around @from keeps of its metadata. */
void wg_skb_copy_flow(struct sk_buff *to, const struct sk_buff *from)
{
	skb_copy_hash(to, from);
	to->tstamp_type = from->tstamp_type;
}

/*
 * Charges @to, which was made of @from, to the socket that @from is charged to.
 * If it is the @last that was made, @from is charged no longer, so that the
 * socket does not believe that something was sent.  @to is charged to nobody
 * yet, and its true size does not change from now on: the destructor takes off
 * what it is then.
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
 * Appends @len bytes of @page, of which a reference is taken, if there is a
 * place left.  @skb has no clones, and is charged to nobody.
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
 * Allocates a buffer for @len bytes of what came within @outer.  Before them are
 * the headers of @outer, as far as they say where it came from and where it went
 * to; they must lie within the linear data or the headroom of @outer.
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
 * Returns the size of the datagrams that @skb, the data of which are their
 * payload, stands for, or 0 if it is one.
 */
unsigned int wg_skb_datagram_size(const struct sk_buff *skb)
{
	const struct skb_shared_info *shinfo = skb_shinfo(skb);

	return shinfo->gso_type & SKB_GSO_UDP_L4 ? shinfo->gso_size : 0;
}

/*
 * Says that @skb, which begins with its network header, stands for @segs
 * packets of TCP.  It has no clones.
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

/* Says that the checksum of TCP, the header of which begins at @offset, is to be completed. */
void wg_skb_set_tcp_partial(struct sk_buff *skb, unsigned int offset)
{
	skb_set_transport_header(skb, offset);
	skb->ip_summed = CHECKSUM_PARTIAL;
	skb->csum_start = skb_headroom(skb) + offset;
	skb->csum_offset = offsetof(struct tcphdr, check);
}

/*
 * Passes a packet that came in by the device of @napi to the stack, which relies on this: there is
 * no header of the link layer but at the data, as the device has none, and what is left to checksum
 * lies within the packet.  Merging moves data out of packets, which those that share them would not
 * survive: clones are passed on as they are.  And it makes packets larger, of
 * which the socket they are charged to would not know: they are no longer.
 */
void wg_gro_receive(struct napi_struct *napi, struct sk_buff *skb)
{
	if (unlikely(!wg_skb_headers_fit(skb) ||
		     (skb->ip_summed == CHECKSUM_PARTIAL && !wg_skb_csum_is_inside(skb)))) {
		kfree_skb(skb);
		return;
	}
	skb_orphan(skb);
	skb_reset_mac_header(skb);
	skb->dev = napi->dev;
	if (unlikely(skb_cloned(skb)))
		netif_receive_skb(skb);
	else
		napi_gro_receive(napi, skb);
}
