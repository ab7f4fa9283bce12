/* Names and sentences of the reasons for which packets are dropped. */
#include "dataplane/drop.h"

#include <stddef.h>

struct drop_words {
    const char *name;
    const char *sentence;
};

static const struct drop_words words[DROP_REASON_COUNT] = {
    [DROP_NONE] = {"none", "not dropped"},
    [DROP_MALFORMED_INNER] =
        {"malformed-inner",
         "the packet inside has a wrong IP header or length: look at the sender"},
    [DROP_MALFORMED_OUTER] =
        {"malformed-outer",
         "a datagram too short or odd to be ESP or IKE: noise, or a middlebox that cuts"},
    [DROP_KEEPALIVE] = {"keepalive", "a NAT keepalive: it has done its work by arriving"},
    [DROP_NO_POLICY] = {"no-policy", "no policy speaks about this traffic: look at the networks of "
                                     "the sites and at the routes"},
    [DROP_POLICY_DISCARD] = {"policy-discard", "a policy says that this traffic is dropped"},
    [DROP_NO_SA] = {"no-sa", "the tunnel for this traffic is down, and it is never sent in clear: "
                             "look at the site's state"},
    [DROP_UNKNOWN_SPI] = {"unknown-spi", "ESP for an SA that is not here: the peer still uses one "
                                         "from before a restart or deletion"},
    [DROP_REPLAYED] = {"replayed", "a sequence number seen before or too old: a doubled packet, an "
                                   "attack, or a window too small"},
    [DROP_FORGED] =
        {"forged",
         "the integrity check failed: damaged on the way, an attack, or keys that differ"},
    [DROP_BAD_PADDING] = {"bad-padding",
                          "authentic, but the padding is not 1, 2, 3: a faulty peer"},
    [DROP_BAD_NEXT_HEADER] =
        {"bad-next-header",
         "authentic, but what is inside is not what a tunnel carries: look at the peer's mode"},
    [DROP_DUMMY] = {"dummy", "a dummy packet of the peer's traffic padding: meant to be dropped"},
    [DROP_SELECTOR_MISMATCH] = {"selector-mismatch",
                                "authentic, but from or to addresses that were not agreed for this "
                                "SA: compare the networks of both sides"},
    [DROP_WRONG_ENCAPSULATION] = {"wrong-encapsulation",
                                  "ESP in an encapsulation that is not in use here"},
    [DROP_SEQUENCE_EXHAUSTED] =
        {"sequence-exhausted",
         "all sequence numbers of the SA are used: rekeying must have failed"},
    [DROP_LIFETIME_OVER] =
        {"lifetime-over",
         "the SA has carried all that its lifetime allows: rekeying must have failed"},
    [DROP_TOO_BIG] =
        {"too-big",
         "does not fit into the tunnel and must not be fragmented: the sender was told by ICMP"},
    [DROP_TTL] = {"ttl", "the hop limit is used up"},
    [DROP_ECN] = {"ecn", "congestion was marked outside, but the flow inside cannot be told: "
                         "dropped as RFC 6040 demands"},
    [DROP_NO_BUFFER] = {"no-buffer", "all packet buffers are in use: more comes in than can leave"},
    [DROP_SEND_FAILED] = {"send-failed",
                          "the system refused to send: look at routes, firewall and interface"},
    [DROP_TUN_FAILED] = {"tun-failed", "the TUN device refused the packet: is it up?"},
    [DROP_CONTROL_FULL] = {"control-full",
                           "more IKE messages than the control thread can take: a flood"},
    [DROP_CRYPTO_FAILED] = {"crypto-failed", "the crypto engine refused to encrypt"},
    [DROP_NOT_BUNDLED] = {"not-bundled",
                          "authentic, but AH and ESP are not around each other as was agreed: "
                          "compare the bundles of both sides"},
    [DROP_BYPASS_POLICY] = {"bypass-policy",
                            "came through a tunnel, though a policy says bypass or "
                            "discard: compare the policies of both sides"},
    [DROP_REASSEMBLY] = {"reassembly", "fragments that did not become whole in time, or that "
                                       "overlap: loss on the way, or an attack"},
    [DROP_COMPRESSION] = {"compression",
                          "compressed contents that cannot be restored: compare 'compress' and "
                          "its numbers on both sides"},
    [DROP_AGGREGATION] = {"aggregation", "contents of a constant-rate tunnel that make no packet: "
                                         "a lost piece, or a faulty peer"},
    [DROP_NO_STREAM] = {"no-stream",
                        "the TCP connection to the peer is broken: another one is being "
                        "opened by whoever opened this one"},
    [DROP_STREAM_FULL] = {"stream-full",
                          "the TCP connection to the peer takes no more now: the line "
                          "is slower than what is sent"},
    [DROP_QUEUE_FULL] = {"queue-full", "waited for the tunnel or for its turn: too many, or too "
                                       "long"},
};

const char *drop_name(enum drop_reason reason)
{
    return (size_t)reason < DROP_REASON_COUNT ? words[reason].name : "unknown";
}

const char *drop_sentence(enum drop_reason reason)
{
    return (size_t)reason < DROP_REASON_COUNT ? words[reason].sentence : "not a known reason";
}
