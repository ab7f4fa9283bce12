/* The words of the failure catalogue, and how they are filled in. */
#include "reasons/reason.h"

#include <assert.h>
#include <string.h>

static const struct reason_entry entries[REASON_COUNT] = {
    [REASON_NONE] =
        {
            .reason = REASON_NONE,
            .group = REASON_GROUP_LIFE,
            .check = REASON_CHECK_NONE,
            .code = "SEK-L000",
            .sentence = "no trouble is known",
            .explanation = "Everything that is checked is in order.",
        },

    /* ---- reach ---- */
    [REASON_NAME_UNKNOWN] =
        {
            .reason = REASON_NAME_UNKNOWN,
            .group = REASON_GROUP_REACH,
            .check = REASON_CHECK_NAME,
            .trouble = true,
            .code = "SEK-R001",
            .sentence = "the name {peer|of the peer} has no address",
            .explanation =
                "The peer is dialled by its name, and the resolver of this machine gives no "
                "address for it: {detail|no answer}.",
            .causes = {"The name is misspelt or not published any more.",
                       "The resolver of this machine does not answer (see /etc/resolv.conf).",
                       "The name is known only inside the network that this tunnel leads to."},
            .steps =
                {"Run: getent ahosts {peer|NAME}",
                 "Write the address instead of the name in the line peer of site {site|NAME}."},
        },
    [REASON_NO_ROUTE] =
        {
            .reason = REASON_NO_ROUTE,
            .group = REASON_GROUP_REACH,
            .check = REASON_CHECK_REACH,
            .trouble = true,
            .code = "SEK-R002",
            .sentence = "this machine has no route to {peer|the peer}",
            .explanation =
                "The system refused to send to {peer|the peer}: {detail|network is unreachable}.",
            .causes =
                {"The default route is missing or its interface is down.",
                 "The peer has an IPv6 address and this machine has none, or the other way round.",
                 "A firewall of this machine forbids it (operation not permitted)."},
            .steps = {"Run: ip route get {peer|ADDRESS}",
                      "Bring the interface up or add the route."},
        },
    [REASON_NO_ANSWER] =
        {
            .reason = REASON_NO_ANSWER,
            .group = REASON_GROUP_REACH,
            .check = REASON_CHECK_REACH,
            .trouble = true,
            .code = "SEK-R003",
            .sentence = "{peer|the peer} does not answer on UDP 500",
            .explanation =
                "Our first message was sent several times and nothing came back: neither an "
                "answer nor an ICMP error.",
            .causes = {"A firewall in between drops UDP port 500.",
                       "The VPN service of the peer is not running, or has another address.",
                       "The peer does not know our address and is configured to ignore strangers.",
                       "The peer speaks IKEv1 only and drops IKEv2 in silence."},
            .steps = {"On the peer, look whether datagrams from us arrive on UDP 500.",
                      "Allow UDP 500 and 4500 in both directions on the firewalls in between.",
                      "Compare the address in the line peer with the peer's outer address.",
                      "If the peer is old: write 'ike v1' in site {site|NAME}."},
        },
    [REASON_NO_ANSWER_4500] =
        {
            .reason = REASON_NO_ANSWER_4500,
            .group = REASON_GROUP_REACH,
            .check = REASON_CHECK_REACH,
            .trouble = true,
            .code = "SEK-R004",
            .sentence = "{peer|the peer} answers on UDP 500, but not on UDP 4500",
            .explanation =
                "There is a NAT between us, or both sides prefer ESP in UDP, so both change to UDP "
                "port 4500 after the first exchange. Nothing came back from there.",
            .causes = {"A firewall or the NAT in front of the peer forwards UDP 500 only.",
                       "The peer has NAT traversal switched off."},
            .steps = {"Allow and forward UDP 4500 beside UDP 500.",
                      "Switch NAT traversal on at the peer.",
                      "Where no NAT is between, add to site {site|NAME}: encapsulate never"},
        },
    [REASON_UNREACHABLE] =
        {
            .reason = REASON_UNREACHABLE,
            .group = REASON_GROUP_REACH,
            .check = REASON_CHECK_REACH,
            .trouble = true,
            .code = "SEK-R005",
            .sentence = "{peer|the peer} cannot be reached: {detail|ICMP says so}",
            .explanation = "A router or the peer itself answered our messages with an ICMP error.",
            .causes = {"Port unreachable: no IKE service is running there.",
                       "Host or network unreachable: the peer or its line is down.",
                       "Administratively prohibited: a firewall refuses UDP 500 or 4500."},
            .steps = {"Start the VPN service of the peer, or correct the address in the line peer.",
                      "Ask who runs the firewall in between to let UDP 500 and 4500 pass."},
        },
    [REASON_FRAGMENTS_LOST] =
        {
            .reason = REASON_FRAGMENTS_LOST,
            .group = REASON_GROUP_REACH,
            .check = REASON_CHECK_REACH,
            .trouble = true,
            .code = "SEK-R006",
            .sentence = "the first exchange is answered, the second is not",
            .explanation =
                "{peer|The peer} answered IKE_SA_INIT, but not IKE_AUTH, which is larger and "
                "encrypted.",
            .causes = {"The peer rejects us without a word; its log tells why.",
                       "Large datagrams are lost on the way: IP fragments are dropped.",
                       "The peer's answer comes back to another address or port."},
            .steps = {"Look into the peer's log for this moment.",
                      "Lower fragment-size in site {site|NAME}, for example to 576."},
        },
    [REASON_PORT_TAKEN] =
        {
            .reason = REASON_PORT_TAKEN,
            .group = REASON_GROUP_LOCAL,
            .check = REASON_CHECK_REACH,
            .trouble = true,
            .code = "SEK-H001",
            .sentence = "{detail|UDP port 500} is taken by another program on this machine",
            .explanation =
                "Another daemon listens on the port that IKE needs, so no message of a peer can "
                "reach us.",
            .causes = {"Another IPsec daemon (strongSwan, Libreswan, racoon) is running."},
            .steps = {"Run: ss -lunp 'sport = :500 or sport = :4500'",
                      "Stop and disable that service, then start this one again."},
        },
    [REASON_PEER_ANY_SILENT] =
        {
            .reason = REASON_PEER_ANY_SILENT,
            .group = REASON_GROUP_REACH,
            .check = REASON_CHECK_REACH,
            .code = "SEK-R007",
            .sentence = "waits for the peer to call; nobody has called yet",
            .explanation =
                "The site says \"peer any\": its address is not known, so only the peer can begin.",
            .causes = {"The peer is off or not configured yet.",
                       "A firewall in front of us drops UDP 500 and 4500.",
                       "The peer dials another address than ours."},
            .steps = {"Start the connection at the peer.",
                      "Allow UDP 500 and 4500 towards this machine."},
        },

    [REASON_TCP_REFUSED] =
        {
            .reason = REASON_TCP_REFUSED,
            .group = REASON_GROUP_REACH,
            .check = REASON_CHECK_REACH,
            .trouble = true,
            .code = "SEK-R008",
            .sentence = "no TCP connection to {peer|the peer}: {detail|it is refused}",
            .explanation = "The peer is called by TCP (RFC 9329), because the line transport says "
                           "so or because UDP is silent. That connection is not to be had, or "
                           "whoever takes it closes it before he answers.",
            .causes = {"The peer does not listen for IKE on this TCP port.",
                       "Another service has the port: a web server on 443 closes what is no TLS.",
                       "A firewall in between refuses or drops the connection."},
            .steps = {"On the peer, say on which ports it is called by TCP: tcp-port 4500.",
                      "Compare the port in the line transport of site {site|NAME} with it.",
                      "Ask who runs the firewall in between for this TCP port, or for UDP 500 and "
                      "4500."},
        },
    [REASON_TCP_SILENT] =
        {
            .reason = REASON_TCP_SILENT,
            .group = REASON_GROUP_REACH,
            .check = REASON_CHECK_REACH,
            .trouble = true,
            .code = "SEK-R009",
            .sentence = "{peer|the peer} takes the TCP connection and does not answer",
            .explanation = "The connection is there, our message went into it, and nothing came "
                           "back.",
            .causes = {"Another service has the port, and waits.",
                       "The peer does not know our address and ignores strangers.",
                       "A proxy in between takes every connection and lets only TLS or HTTP "
                       "through."},
            .steps = {"Look into the peer's log for this moment.",
                      "Try another TCP port: transport tcp PORT in site {site|NAME}, tcp-port PORT "
                      "on the peer."},
        },
    [REASON_REDIRECT_UNPROVEN] =
        {
            .reason = REASON_REDIRECT_UNPROVEN,
            .group = REASON_GROUP_REACH,
            .check = REASON_CHECK_REACH,
            .trouble = true,
            .code = "SEK-R012",
            .sentence = "{peer|the peer} sends us to {theirs|another gateway}, and did not prove "
                        "who it is",
            .explanation =
                "Our first message was answered with a redirect (RFC 5685). Anybody on the way can "
                "say that, so it is not followed unless the site says follow-redirect on. "
                "Whoever is there would have to prove the same as {peer|the peer}.",
            .causes = {"The peer is being maintained or has too much to do, and another gateway "
                       "stands in for it.",
                       "The address of the peer belongs to a group of gateways."},
            .steps = {"Ask whoever runs the peer whether {theirs|that gateway} belongs to it.",
                      "Then write in site {site|NAME}: follow-redirect on",
                      "Or write that gateway in the line peer."},
        },
    [REASON_REDIRECTS] =
        {
            .reason = REASON_REDIRECTS,
            .group = REASON_GROUP_REACH,
            .check = REASON_CHECK_REACH,
            .trouble = true,
            .code = "SEK-R011",
            .sentence = "we were sent to other gateways more than five times within five minutes",
            .explanation = "Each of them sends us to another one (RFC 5685), {peer|the last} among "
                           "them. That is followed five times in five minutes and not more.",
            .causes = {"Two gateways send us to each other.",
                       "The gateway that we are sent to is not there, and the first one sends us "
                       "to it again."},
            .steps = {"Tell whoever runs these gateways.",
                      "Write in site {site|NAME}: follow-redirect off, and in the line peer a "
                      "gateway that takes us."},
        },

    [REASON_ANSWERS_ELSEWHERE] =
        {
            .reason = REASON_ANSWERS_ELSEWHERE,
            .group = REASON_GROUP_REACH,
            .check = REASON_CHECK_REACH,
            .trouble = true,
            .code = "SEK-R010",
            .sentence = "{peer|the peer} answers from {detail|another address} only, and then no "
                        "more",
            .explanation =
                "IKE_SA_INIT was sent to one address and answered from another one; what followed "
                "was not answered. Firewalls and NATs let an answer pass only from where the "
                "question went.",
            .causes = {"The peer has several addresses and sends from the one that its routes "
                       "prefer.",
                       "A NAT in front of the peer forwards UDP 500 to it, but rewrites what it "
                       "sends to another address."},
            .steps = {"Call the peer where it answers from: peer {detail|ADDRESS} in site "
                      "{site|NAME}.",
                      "Or let the peer listen on the address that is called alone (listen ADDRESS "
                      "in Sekisho)."},
        },

    /* ---- offer ---- */
    [REASON_NO_PROPOSAL] =
        {
            .reason = REASON_NO_PROPOSAL,
            .group = REASON_GROUP_OFFER,
            .check = REASON_CHECK_OFFER,
            .trouble = true,
            .code = "SEK-O001",
            .sentence = "no common IKE proposal; we allow {ours|something else}; the peer "
                        "wants {theirs|none of it}",
            .explanation =
                "Both sides must agree on a cipher, a hash and a key-exchange group for the IKE "
                "SA. "
                "We allow: {ours|see sekisho show config --all}. The peer: {theirs|did not say}.",
            .causes = {"The two configurations name different ciphers, hashes or groups.",
                       "The peer is old and offers only what is weak today."},
            .steps = {"Make both sides name a common proposal: line ike in site {site|NAME}.",
                      "If the peer has nothing better, allow it with the word legacy."},
        },
    [REASON_NO_CHILD_PROPOSAL] =
        {
            .reason = REASON_NO_CHILD_PROPOSAL,
            .group = REASON_GROUP_OFFER,
            .check = REASON_CHECK_NETWORKS,
            .trouble = true,
            .code = "SEK-O002",
            .sentence = "no common ESP proposal; we allow {ours|something else}; the peer "
                        "wants {theirs|none of it}",
            .explanation =
                "The peers know each other, but agree on no cipher for the data. We allow: "
                "{ours|see sekisho show config --all}. The peer: {theirs|did not say}.",
            .causes =
                {"The lines esp (phase 2) of the two sides differ.",
                 "Only one side wants perfect forward secrecy (PFS), or another group for it."},
            .steps = {"Make both sides name a common proposal: line esp in site {site|NAME}.",
                      "Try pfs off if the peer does not do it."},
        },
    [REASON_MAJOR_VERSION] =
        {
            .reason = REASON_MAJOR_VERSION,
            .group = REASON_GROUP_OFFER,
            .check = REASON_CHECK_OFFER,
            .trouble = true,
            .code = "SEK-O003",
            .sentence = "the peer does not speak IKEv2",
            .explanation = "{peer|The peer} answered that it does not know major version 2 of IKE.",
            .causes = {"The peer is configured for IKEv1.", "The peer is too old for IKEv2."},
            .steps =
                {"Switch the peer to IKEv2.",
                 "If it cannot: write 'ike v1' in site {site|NAME}. What it accepts is found by: "
                 "sekisho check --site {site|NAME} --probe"},
        },
    [REASON_GROUP_LOOP] =
        {
            .reason = REASON_GROUP_LOOP,
            .group = REASON_GROUP_OFFER,
            .check = REASON_CHECK_OFFER,
            .trouble = true,
            .code = "SEK-O004",
            .sentence = "the peer asks for one key-exchange group after the other ({detail|no "
                        "common group})",
            .explanation = "A peer may ask once for another group (INVALID_KE_PAYLOAD). This one "
                           "asks again and "
                           "again, or for a group that we do not allow.",
            .causes = {"The peer wants a group that is not in our line ike.",
                       "A fault in the peer."},
            .steps = {"Name exactly one group in the line ike on both sides."},
        },
    [REASON_COOKIE_LOOP] =
        {
            .reason = REASON_COOKIE_LOOP,
            .group = REASON_GROUP_OFFER,
            .check = REASON_CHECK_OFFER,
            .trouble = true,
            .code = "SEK-O005",
            .sentence = "the peer asks for cookies without end",
            .explanation = "Under load a peer may ask us to prove our address with a cookie. This "
                           "one does not "
                           "accept the cookie that it gave itself.",
            .causes =
                {"Our address changes between two messages (two lines, a NAT with many addresses).",
                 "Several machines share the peer's address and do not share their secret."},
            .steps = {"Make sure that all our datagrams leave by one address.",
                      "Look at the load of the peer."},
        },
    [REASON_BAD_PUBLIC_VALUE] =
        {
            .reason = REASON_BAD_PUBLIC_VALUE,
            .group = REASON_GROUP_OFFER,
            .check = REASON_CHECK_OFFER,
            .trouble = true,
            .code = "SEK-O006",
            .sentence = "the peer sent a key-exchange value that is not valid",
            .explanation =
                "The value does not belong to the group that was agreed, or is one of the few that "
                "would give the key away. It was refused.",
            .causes = {"A fault in the peer.", "Somebody in between alters the messages."},
            .steps = {"Choose another group in the line ike on both sides."},
        },
    [REASON_SUITE_NOT_ALLOWED] =
        {
            .reason = REASON_SUITE_NOT_ALLOWED,
            .group = REASON_GROUP_OFFER,
            .check = REASON_CHECK_OFFER,
            .trouble = true,
            .code = "SEK-O007",
            .sentence = "agreed on {theirs|a suite} that this site does not allow",
            .explanation = "Before the peer said its name, {theirs|a suite} of another site was "
                           "agreed on. Site "
                           "{site|NAME} allows only {ours|others}.",
            .causes = {"The peer prefers a weaker suite that we allow for another site."},
            .steps = {"Let the peer offer only {ours|what this site allows}.",
                      "Or add the suite to the line ike of site {site|NAME}."},
        },
    [REASON_SYNTAX] =
        {
            .reason = REASON_SYNTAX,
            .group = REASON_GROUP_OFFER,
            .check = REASON_CHECK_OFFER,
            .trouble = true,
            .code = "SEK-O008",
            .sentence = "the peer sent a message that breaks the protocol: {detail|bad syntax}",
            .explanation =
                "A message of the peer (or the peer about one of ours) was found to be malformed.",
            .causes = {"A fault in the peer's IKE.",
                       "The shared keys differ and the peer says so this way."},
            .steps = {"Run: sekisho trace {site|NAME} --last", "Update the peer's software."},
        },
    [REASON_CRITICAL_PAYLOAD] =
        {
            .reason = REASON_CRITICAL_PAYLOAD,
            .group = REASON_GROUP_OFFER,
            .check = REASON_CHECK_OFFER,
            .trouble = true,
            .code = "SEK-O009",
            .sentence =
                "one side insists on an extension that the other does not know: {detail|unnamed}",
            .explanation =
                "A payload marked as critical must be understood or the message refused.",
            .causes = {"The peer requires an extension of IKEv2 that is not supported here."},
            .steps = {"Switch that extension off at the peer."},
        },
    [REASON_PEER_ERROR] =
        {
            .reason = REASON_PEER_ERROR,
            .group = REASON_GROUP_OFFER,
            .check = REASON_CHECK_OFFER,
            .trouble = true,
            .code = "SEK-O010",
            .sentence = "the peer answered with an error: {detail|unnamed}",
            .explanation = "The peer refused with a notify that says no more than its name.",
            .causes = {"See the peer's log."},
            .steps = {"Run: sekisho trace {site|NAME} --last"},
        },
    [REASON_AH_REFUSED] =
        {
            .reason = REASON_AH_REFUSED,
            .group = REASON_GROUP_OFFER,
            .check = REASON_CHECK_NETWORKS,
            .trouble = true,
            .code = "SEK-O011",
            .sentence = "the peer does not take AH: ours {ours|?}; theirs {theirs|refused}",
            .explanation =
                "This site is protected by AH, and the peer has no AH in common with it. Ours: "
                "{ours|unknown}. Theirs: {theirs|not said}.",
            .causes = {"The peer is set up for ESP.", "The peer's program has no AH.",
                       "The peer's AH has other algorithms."},
            .steps = {"Set up AH with one of our algorithms at the peer.",
                      "Or use ESP on both sides, which can do all that AH does for the data."},
        },
    [REASON_AH_NAT] =
        {
            .reason = REASON_AH_NAT,
            .group = REASON_GROUP_OFFER,
            .check = REASON_CHECK_NETWORKS,
            .trouble = true,
            .code = "SEK-O012",
            .sentence = "AH cannot pass the NAT between us and the peer",
            .explanation =
                "AH protects the addresses in the outer IP header, and a NAT changes them: every "
                "packet would be refused. There is no AH in UDP.",
            .causes = {"A router on the way translates addresses.",
                       "One side pretends to be behind a NAT, to have everything in UDP."},
            .steps = {"Use ESP for this site.", "Or take the NAT out of the way."},
        },
    [REASON_NOT_POST_QUANTUM] =
        {
            .reason = REASON_NOT_POST_QUANTUM,
            .group = REASON_GROUP_OFFER,
            .check = REASON_CHECK_OFFER,
            .trouble = true,
            .code = "SEK-O013",
            .sentence =
                "the peer agrees to no post-quantum key exchange, and this site requires one",
            .explanation =
                "Site {site|NAME} says post-quantum required: there must be ML-KEM among the key "
                "exchanges, so that what is recorded today stays secret even when there are "
                "quantum computers. What the peer agrees to or offers: {theirs|none of "
                "ours}.",
            .causes = {"The peer's program knows neither ML-KEM nor additional key exchanges (RFC "
                       "9370): strongSwan does from 6.0 on, where it has the plugin ml "
                       "(Debian 13's has not).",
                       "The peer is set up without ML-KEM, or with other ciphers beside it.",
                       "Somebody between us and the peer answers in its place."},
            .steps = {"Offer an additional key exchange with ML-KEM-768 at the peer: the line ike "
                      "of sekisho show config --all has ours.",
                      "Or, if that peer may do without: post-quantum prefer in site {site|NAME}."},
        },

    /* ---- identity ---- */
    [REASON_AGGRESSIVE] =
        {
            .reason = REASON_AGGRESSIVE,
            .group = REASON_GROUP_OFFER,
            .check = REASON_CHECK_OFFER,
            .trouble = true,
            .code = "SEK-O014",
            .sentence = "the peer begins in Aggressive Mode, which is not allowed here",
            .explanation = "In IKEv1's Aggressive Mode whoever asks gets a value by which a shared "
                           "key can be guessed at leisure, so it is off unless it is said.",
            .causes = {"The peer is configured for Aggressive Mode.",
                       "The peer has no fixed address and cannot use Main Mode with a shared key."},
            .steps = {"Switch the peer to Main Mode, or better to IKEv2.",
                      "Where it has nothing better, write in site {site|NAME}: ike v1 aggressive; "
                      "legacy aggressive; and make the key long and random."},
        },
    [REASON_OLD_VERSION] =
        {
            .reason = REASON_OLD_VERSION,
            .group = REASON_GROUP_OFFER,
            .check = REASON_CHECK_OFFER,
            .trouble = true,
            .code = "SEK-O015",
            .sentence = "{peer|the peer} calls with IKEv1, and this site speaks IKEv2",
            .explanation = "A first message of IKEv1 came from the address of the peer. It was "
                           "answered with INVALID-MAJOR-VERSION, and nothing else was done.",
            .causes = {"The peer is configured for IKEv1."},
            .steps = {"Switch the peer to IKEv2.",
                      "Where it has nothing newer, write in site {site|NAME}: ike v1"},
        },
    [REASON_ENCRYPTION] =
        {
            .reason = REASON_ENCRYPTION,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A046",
            .sentence =
                "the proof by RSA encryption is wrong: a public key on one side is not that "
                "of the other",
            .explanation =
                "With 'authenticate rsa-encryption' each side proves itself by reading what was "
                "encrypted with its public key. Then what the peer sent did not fit. Whether it "
                "could be decrypted is not looked at, so that nobody can ask for it.",
            .causes = {"The public key of the peer in the line 'trust' of site {site|NAME} is an "
                       "old one.",
                       "The peer has another public key of ours.",
                       "Somebody who has neither key tries to get in."},
            .steps = {"Give each side the public key that the other one has now.",
                      "Better: leave RSA encryption for signatures, or for IKEv2."},
        },
    [REASON_SHARED_KEY] =
        {
            .reason = REASON_SHARED_KEY,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A028",
            .sentence = "the shared keys differ",
            .explanation = "With IKEv1 the shared key is a part of the keys that encrypt. What the "
                           "peer sent last cannot be read with ours, so it has another one.",
            .causes = {"The shared keys differ.",
                       "Somebody who does not know the key tries to get in."},
            .steps = {"Compare: sekisho secret fingerprint {key|NAME} here, and with its name for "
                      "the key there."},
        },
    [REASON_SHARED_KEY_PERHAPS] =
        {
            .reason = REASON_SHARED_KEY_PERHAPS,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A029",
            .sentence = "the peer does not answer our proof: it seems that the shared keys differ",
            .explanation =
                "Cipher and group are agreed. Then we proved that we know the key, and the peer "
                "said nothing, or something that cannot be read. With IKEv1 that is how a peer "
                "with another key behaves.",
            .causes = {"The shared keys differ.", "The peer expects another name from us.",
                       "A firewall or a NAT in front of the peer forwards UDP 500, but not 4500."},
            .steps = {"Compare: sekisho secret fingerprint {key|NAME} here, and with its name for "
                      "the key there.",
                      "Look into the log of the peer: it may say 'invalid HASH payload' or "
                      "'decryption failed'."},
        },
    [REASON_LOGIN_REFUSED] =
        {
            .reason = REASON_LOGIN_REFUSED,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A034",
            .sentence = "a login was refused: {detail|the name or the password is wrong}",
            .explanation =
                "Somebody proved the key or certificate of the group and then gave a name with a "
                "password that is not right: {detail|it is not known more}. After some wrong tries "
                "an address and a user have to wait, longer each time.",
            .causes = {"The password was mistyped, or is an old one.",
                       "The user is not known here, is disabled, or has to give a one-time code.",
                       "Somebody is guessing passwords."},
            .steps = {"Run: sekisho users list", "Set another password: sekisho users passwd USER"},
        },
    [REASON_LOGIN_UNAVAILABLE] =
        {
            .reason = REASON_LOGIN_UNAVAILABLE,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A035",
            .sentence = "logins cannot be checked: {detail|nobody answers}",
            .explanation = "Nobody who knows passwords could tell whether one is right: "
                           "{detail|nobody answers}. People who are in stay.",
            .causes = {"The RADIUS server does not answer, or has another secret.",
                       "The file of users cannot be read."},
            .steps =
                {"Look at the line login of remote-access {site|NAME} and at the lines radius.",
                 "Run: sekisho users list"},
        },
    [REASON_OUR_LOGIN_REFUSED] =
        {
            .reason = REASON_OUR_LOGIN_REFUSED,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A036",
            .sentence = "the peer refuses our name or our password",
            .explanation = "The key of the group was right. Then the peer asked for a name and a "
                           "password, and did not take ours: {detail|it did not say why}.",
            .causes = {"The password is another one, or ran out.",
                       "The user is locked, perhaps because of wrong passwords before.",
                       "The user has as many sessions as he may.",
                       "A one-time code is wanted, which nobody can type here."},
            .steps = {"Set the password anew: sekisho secret set NAME, of the line login of site "
                      "{site|NAME}.",
                      "Ask who runs the peer what its log says about this user."},
        },
    [REASON_LOGIN_UNASKED] =
        {
            .reason = REASON_LOGIN_UNASKED,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A037",
            .sentence = "the peer asks for no login, and this site has one",
            .explanation = "Site {site|NAME} has a line login, so the peer must ask who we are "
                           "(XAUTH), and it does not.",
            .causes = {"The peer is a gateway for other gateways, not for people.",
                       "The group or the address leads to another configuration of the peer."},
            .steps = {"Take the line login out of site {site|NAME}, or turn on XAUTH at the peer."},
        },
    [REASON_AUTH_REFUSED] =
        {
            .reason = REASON_AUTH_REFUSED,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A012",
            .sentence = "the peer refused our proof of the shared key",
            .explanation =
                "Cipher and group are agreed. Then we proved that we know the key, and the peer "
                "answered AUTHENTICATION_FAILED, or went away at once. It does not say why.",
            .causes =
                {"The shared keys differ.",
                 "The peer expects another name from us. We say \"{ours|our name}\".",
                 "{?theirs}We ask for \"{theirs|the name that we expect}\"; perhaps the "
                 "peer has another name: line identity of site {site|NAME}.",
                 "The peer has no entry for our address, or was told to keep this tunnel down."},
            .steps = {"Compare: sekisho secret fingerprint {key|NAME} here, and with its name for "
                      "the key there.",
                      "To say another name, add \"say NAME\" to site {site|NAME}.",
                      "Look into the peer's log: it knows the reason."},
        },
    [REASON_AUTH_WRONG] =
        {
            .reason = REASON_AUTH_WRONG,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A013",
            .sentence = "the peer's proof of the shared key is wrong",
            .explanation =
                "{theirs|The peer} said a name that we know, but its proof was not made with our "
                "key. Nothing was given to it.",
            .causes = {"The shared keys differ.",
                       "Somebody who does not know the key tries to get in."},
            .steps = {"Compare: sekisho secret fingerprint {key|NAME} here, and with its name for "
                      "the key there."},
        },
    [REASON_PEER_UNKNOWN] =
        {
            .reason = REASON_PEER_UNKNOWN,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A014",
            .sentence = "somebody at {peer|some address} says to be \"{theirs|nobody}\": no site "
                        "expects that "
                        "name",
            .explanation =
                "A peer came as far as saying its name, and no site of this gateway expects it.",
            .causes =
                {"The line identity (or peer) of the site names something else than the peer says.",
                 "The peer is configured to say another name (local ID) than you think.",
                 "A stranger."},
            .steps = {"If you know the peer, add to its site: identity {theirs|NAME}",
                      "Or let the peer say the name that the site expects."},
        },
    [REASON_PEER_IDENTITY] =
        {
            .reason = REASON_PEER_IDENTITY,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A015",
            .sentence =
                "the peer says to be \"{theirs|somebody else}\", expected was \"{ours|another}\"",
            .explanation = "The name is not the one that this site expects. {detail|The key is "
                           "right.}",
            .causes = {"The peer's local ID is set to another name.",
                       "Behind that address another gateway answers."},
            .steps = {"Add to site {site|NAME}: identity {theirs|NAME}",
                      "Or let the peer say \"{ours|the expected name}\"."},
        },
    [REASON_AUTH_METHOD] =
        {
            .reason = REASON_AUTH_METHOD,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A016",
            .sentence = "the peer wants to authenticate in another way ({detail|not said})",
            .explanation =
                "Both sides of site {site|NAME} prove themselves in the same way: by a shared key "
                "where it has a line key, else by certificates. The peer used or wanted another "
                "one.",
            .causes = {"The peer is configured for certificates and this side for a shared key, or "
                       "the other way round.",
                       "The peer is configured for EAP, which is for people.",
                       "The peer signs with SHA-1 only, which needs: legacy sha1",
                       "One side says unauthenticated, and the other does not."},
            .steps = {"With a shared key: switch the peer to it (PSK) in both directions.",
                      "With certificates: take the line key out of site {site|NAME}."},
        },
    [REASON_PROOF_REFUSED] =
        {
            .reason = REASON_PROOF_REFUSED,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A017",
            .sentence = "the peer refused our certificate",
            .explanation =
                "Cipher and group are agreed. Then we signed with the key of our certificate, and "
                "the peer answered AUTHENTICATION_FAILED, or went away at once. It does not say "
                "why.",
            .causes = {"The peer does not trust the authority of our certificate.",
                       "Our certificate has not the name that the peer expects. We say \"{ours|our "
                       "name}\".",
                       "Our certificate has expired, or the clock of the peer is wrong.",
                       "The peer has no entry for us."},
            .steps = {"Run: sekisho show certificates",
                      "Look into the peer's log: it knows the reason."},
        },
    [REASON_SIGNATURE_WRONG] =
        {
            .reason = REASON_SIGNATURE_WRONG,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A018",
            .sentence = "the peer has not the key of the certificate that it shows",
            .explanation =
                "The signature of {theirs|the peer} was not made with the key of its certificate.",
            .causes = {"The peer was given a certificate without its key, or with another.",
                       "Somebody who has only the certificate tries to get in."},
            .steps = {"Look on the peer whether key and certificate belong together."},
        },
    [REASON_CERTIFICATE_TIME] =
        {
            .reason = REASON_CERTIFICATE_TIME,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A019",
            .sentence = "{detail|the certificate of the peer is not valid now}",
            .explanation = "The certificate of the peer or of one of its authorities is not valid "
                           "at the time that the clock of this machine shows.",
            .causes = {"It was not renewed in time.",
                       "The clock of this machine is wrong: run date."},
            .steps = {"Let the peer have a new certificate."},
        },
    [REASON_CERTIFICATE_AUTHORITY] =
        {
            .reason = REASON_CERTIFICATE_AUTHORITY,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A020",
            .sentence = "{detail|the certificate of the peer comes from an unknown authority}",
            .explanation =
                "The certificate of the peer leads to no authority that site {site|NAME} trusts.",
            .causes = {"The peer belongs to another authority.",
                       "The peer does not send the certificates between its own and its authority.",
                       "A stranger."},
            .steps =
                {"If you know that authority, add its certificate to site {site|NAME}: trust FILE",
                 "Else let the peer have a certificate of an authority that is trusted here."},
        },
    [REASON_CERTIFICATE_NAME] =
        {
            .reason = REASON_CERTIFICATE_NAME,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A021",
            .sentence = "{detail|the certificate of the peer has another name}",
            .explanation = "The certificate is good, but it is for somebody else than site "
                           "{site|NAME} expects.",
            .causes =
                {"The line peer or identity of the site is not what stands in the certificate.",
                 "The certificate has the name only in its subject: write it as a line name.",
                 "Behind that address another gateway answers."},
            .steps = {"Add to site {site|NAME}: identity NAME, with a name of the certificate.",
                      "Or: name \"C=JP, O=Partner, CN=gw1\""},
        },
    [REASON_CERTIFICATE_REVOKED] =
        {
            .reason = REASON_CERTIFICATE_REVOKED,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A022",
            .sentence = "{detail|the certificate of the peer was revoked}",
            .explanation = "The authority says that the certificate is not valid any more, or site "
                           "{site|NAME} wants to know that it is, and nobody could be asked.",
            .causes = {"The peer was taken out, or its key was lost.",
                       "With revocation strict: the list or the responder cannot be reached, or "
                       "what it gives is out of date or signed by somebody else."},
            .steps = {"Let the peer have a new certificate.",
                      "When nobody could be asked: see from this machine whether the place above "
                      "answers, name another (crl URL, ocsp URL), or put a current list beside the "
                      "authority (trust FILE).",
                      "To take what nobody knows about until then: revocation normal"},
        },
    [REASON_CERTIFICATE] =
        {
            .reason = REASON_CERTIFICATE,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A023",
            .sentence = "{detail|the certificate of the peer was refused}",
            .explanation = "The certificate of the peer or of one of its authorities is not one "
                           "that may be used for this.",
            .causes = {"The authority issued it for another purpose, or with a key or hash that is "
                       "too weak."},
            .steps = {"Let the peer have a certificate for IKE, with a key of today."},
        },
    [REASON_RADIUS_SILENT] =
        {
            .reason = REASON_RADIUS_SILENT,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A038",
            .sentence = "no RADIUS server answers: {detail|none}",
            .explanation =
                "Logins are asked of RADIUS servers. Each was asked three times, and none "
                "answered. A server says nothing to whom it does not know, and nothing "
                "when the secrets differ.",
            .causes = {"The server does not run, or a firewall does not let UDP 1812 pass.",
                       "The server does not know this machine by the address that it sees.",
                       "The secrets differ."},
            .steps = {"Run: sekisho status; the line radius says which server is silent.",
                      "Set the secret again: sekisho secret set NAME, as in the line radius.",
                      "Try it: sekisho users try USER; and look into the server's log.",
                      "With 'login radius then local' the users here are asked meanwhile."},
        },
    [REASON_RADIUS_REJECTED] =
        {
            .reason = REASON_RADIUS_REJECTED,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A039",
            .sentence = "the RADIUS server refused a login: {detail|it does not say why}",
            .explanation =
                "The server answered, and its answer is authentic: Access-Reject. It does "
                "not say why.",
            .causes = {"The password or the code is wrong.",
                       "The user is unknown there, or locked, or may not come from this machine."},
            .steps = {"Look into the server's log: it knows the reason.",
                      "Try it: sekisho users try USER"},
        },
    [REASON_RADIUS_FORGED] =
        {
            .reason = REASON_RADIUS_FORGED,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A040",
            .sentence =
                "what a RADIUS server answers is not authentic: {detail|which is not known}",
            .explanation = "Replies came from the server's address, and what proves them "
                           "(Response Authenticator, Message-Authenticator) is wrong. They were "
                           "dropped.",
            .causes = {"The secrets differ.",
                       "Somebody between the server and this machine makes replies."},
            .steps =
                {"Set the secret again on both sides: sekisho secret set NAME, as in the line "
                 "radius.",
                 "Is it right, look who is on the way: a capture shows where replies come from.",
                 "Put the way to the server into a tunnel."},
        },
    [REASON_RADIUS_UNSIGNED] =
        {
            .reason = REASON_RADIUS_UNSIGNED,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A041",
            .sentence = "a RADIUS server does not sign its answers: {detail|which is not known}",
            .explanation =
                "The replies have no Message-Authenticator. Whoever is on the way can make "
                "an acceptance of a refusal then (BlastRADIUS, CVE-2024-3596), so they "
                "were dropped.",
            .causes = {"The server is older than July 2024, or signs only when it is told to."},
            .steps = {"Update the server and let it sign: in FreeRADIUS "
                      "require_message_authenticator = yes for this client.",
                      "Only where the way to it is safe: the word unsigned-replies in the line "
                      "radius."},
        },
    [REASON_RADIUS_REPLY] =
        {
            .reason = REASON_RADIUS_REPLY,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A042",
            .sentence = "the answer of the RADIUS server cannot be followed: {detail|which is not "
                        "known}",
            .explanation =
                "The answer is authentic, but an attribute in it has a wrong form, names a "
                "group that can be none, or a service that is not this one. To pass it "
                "over would let somebody in who may less.",
            .causes =
                {"Filter-Id is no name of a group: letters, digits, dots, underscores and hyphens.",
                 "Service-Type is not Framed, Outbound or Authenticate-Only.",
                 "An address or a number has a wrong length."},
            .steps = {"Look into the server's log what it sent for this user.",
                      "Try it: sekisho users try USER"},
        },
    [REASON_USERS] =
        {
            .reason = REASON_USERS,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A043",
            .sentence = "the users cannot be read, or a used code not be written: {detail|see the "
                        "log}",
            .explanation =
                "Nobody is let in by users that cannot be read, nor by a one-time password "
                "that could be used a second time because it cannot be written down.",
            .causes = {"The disk is full, or may only be read.",
                       "The file of users has a mistake, or others may read it."},
            .steps = {"Run: sekisho users check",
                      "Run: sekisho status; its problems say which file.",
                      "Make room on the disk of the state directory."},
        },
    [REASON_LOGIN_TIMEOUT] =
        {
            .reason = REASON_LOGIN_TIMEOUT,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A030",
            .sentence = "the login took too long: {detail|there was no answer}",
            .explanation = "A login (XAUTH) has two minutes and eight rounds. Then it is over, so "
                           "that nobody holds a place with it.",
            .causes = {"Nobody typed name and password.",
                       "The RADIUS server or the user database of the gateway does not answer.",
                       "The user was asked again and again, and never gave what was wanted."},
            .steps = {"Try again.", "Look into the log of the gateway, or of its RADIUS server."},
        },
    [REASON_PPK_MISSING] =
        {
            .reason = REASON_PPK_MISSING,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A024",
            .sentence = "the peer uses no PPK, and this site requires {ours|one}",
            .explanation = "Site {site|NAME} has a post-quantum preshared key (RFC 8784) that it "
                           "requires, and "
                           "the peer knows of none, or does not use it with us.",
            .causes = {"The peer is set up without a PPK for this gateway.",
                       "The peer's program knows no PPKs.",
                       "Somebody between us and the peer answers in its place."},
            .steps = {"Give the peer the same PPK under the ID {ours|of the line ppk}.",
                      "Or, if that peer may do without: prefer behind ppk in site {site|NAME}."},
        },
    [REASON_PPK_UNKNOWN] =
        {
            .reason = REASON_PPK_UNKNOWN,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A025",
            .sentence = "the peer uses the PPK {theirs|of another ID}, this site has {ours|none}",
            .explanation =
                "A post-quantum preshared key (RFC 8784) is named by an ID, which must be the same "
                "on both sides. Here: {ours|none is configured}. The peer's: {theirs|not said}.",
            .causes = {"The IDs differ: here the ID is the name of the secret unless the line ppk "
                       "says another one.",
                       "The peer requires a PPK, and site {site|NAME} has no line ppk."},
            .steps = {"Add to the line ppk of site {site|NAME}: id {theirs|ID}",
                      "Or let the peer use the ID {ours|of this side}."},
        },
    [REASON_PPK_DIFFERS] =
        {
            .reason = REASON_PPK_DIFFERS,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A026",
            .sentence = "the peer's proof is wrong: its PPK {ours|} is another than ours",
            .explanation =
                "Both sides name the same post-quantum preshared key (RFC 8784), and what the peer "
                "proved with does not fit. Nothing was given to it. Where the peer requires a PPK "
                "it cannot be seen whether the PPKs differ or what it is used with.",
            .causes = {"The PPKs differ, perhaps only in how they are written: an octet string "
                       "here may be text, hexadecimal or base64 there.",
                       "The shared keys differ, or the key of the peer's certificate.",
                       "Somebody who does not know the PPK tries to get in."},
            .steps = {"Compare: sekisho secret fingerprint NAME here, with the name in the line "
                      "ppk, and with its name there.",
                      "Compare the other key in the same way."},
        },
    [REASON_PPK_REFUSED] =
        {
            .reason = REASON_PPK_REFUSED,
            .group = REASON_GROUP_IDENTITY,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-A027",
            .sentence = "the peer refused the PPK {ours|of this site}, or our proof with it",
            .explanation =
                "Cipher and group are agreed, and both sides said that they use a post-quantum "
                "preshared key (RFC 8784, RFC 9867). Then we named ours, and the peer has none of "
                "that name, or another, or refused what we proved with it. It does not say why.",
            .causes = {"The peer has no PPK of the ID {ours|that we name}.", "The PPKs differ.",
                       "The shared keys differ, or the peer does not take our certificate.",
                       "The peer expects another name from us."},
            .steps = {"Compare: sekisho secret fingerprint NAME here, with the name in the line "
                      "ppk, and with its name there.",
                      "Compare the IDs: sekisho show config has ours.",
                      "Look into the peer's log: it knows the reason."},
        },

    /* ---- networks ---- */
    [REASON_SELECTORS] =
        {
            .reason = REASON_SELECTORS,
            .group = REASON_GROUP_NETWORKS,
            .check = REASON_CHECK_NETWORKS,
            .trouble = true,
            .code = "SEK-N001",
            .sentence = "the networks differ: ours {ours|?}; theirs {theirs|refused}",
            .explanation =
                "The two sides do not mean the same networks. Ours: {ours|unknown}. Theirs: "
                "{theirs|not said}.",
            .causes = {"A network is missing or mistyped on one side.",
                       "The peer allows one pair of networks for each tunnel only."},
            .steps =
                {"Make lan and network here the mirror image of the peer's.",
                 "If the peer knows one pair of networks for each tunnel only, name one pair."},
        },
    [REASON_CHILD_REFUSED] =
        {
            .reason = REASON_CHILD_REFUSED,
            .group = REASON_GROUP_NETWORKS,
            .check = REASON_CHECK_NETWORKS,
            .trouble = true,
            .code = "SEK-N002",
            .sentence = "the peer refused the tunnel for the networks: {detail|no reason given}",
            .explanation =
                "The peers know each other, but the peer does not make an SA for the data.",
            .causes = {"The peer has a limit for tunnels, or wants another mode.",
                       "See the peer's log."},
            .steps = {"Run: sekisho trace {site|NAME} --last"},
        },
    [REASON_OVERLAP] =
        {
            .reason = REASON_OVERLAP,
            .group = REASON_GROUP_NETWORKS,
            .check = REASON_CHECK_NETWORKS,
            .trouble = true,
            .code = "SEK-N003",
            .sentence = "the networks overlap with those of {detail|another site}",
            .explanation =
                "The same addresses are behind two sites. Of two equal networks the configuration "
                "is refused; of one within another the narrower one gets the packets.",
            .causes = {"A network is written too wide.",
                       "Both sites really use the same addresses."},
            .steps = {"Narrow the line network of one of the sites."},
        },
    [REASON_NARROWED] =
        {
            .reason = REASON_NARROWED,
            .group = REASON_GROUP_NETWORKS,
            .check = REASON_CHECK_NONE,
            .code = "SEK-N004",
            .sentence = "the peer agreed to a part of the networks only: {theirs|less than asked}",
            .explanation =
                "We asked for {ours|all networks of the site}; agreed was {theirs|less}. Traffic "
                "outside of it is dropped.",
            .causes = {"The peer's configuration names fewer or smaller networks."},
            .steps = {"Make both sides name the same networks."},
        },
    [REASON_TRANSPORT_REFUSED] =
        {
            .reason = REASON_TRANSPORT_REFUSED,
            .group = REASON_GROUP_NETWORKS,
            .check = REASON_CHECK_NETWORKS,
            .trouble = true,
            .code = "SEK-N005",
            .sentence = "the peer wants tunnel mode, and this site is transport mode",
            .explanation =
                "The two sides do not mean the same mode. In transport mode the packets of the two "
                "hosts themselves are protected, in tunnel mode those of networks behind them.",
            .causes = {"The peer is set up for tunnel mode.",
                       "The peer does no transport mode through a NAT."},
            .steps = {"Set up transport mode at the peer.", "Or say mode tunnel for this site."},
        },
    [REASON_POOL_EMPTY] =
        {
            .reason = REASON_POOL_EMPTY,
            .group = REASON_GROUP_NETWORKS,
            .check = REASON_CHECK_NETWORKS,
            .trouble = true,
            .code = "SEK-N006",
            .sentence = "no address is left for {detail|somebody who logged in}",
            .explanation = "The login was right, but all addresses of remote-access {site|NAME} "
                           "are in use.",
            .causes = {"More people are in than there are addresses.",
                       "Sessions of people who are gone have not ended yet."},
            .steps = {"Run: sekisho pools",
                      "Add addresses: the line addresses of remote-access {site|NAME}. Sessions "
                      "stay.",
                      "Let forgotten sessions end: idle-timeout 8h"},
        },
    [REASON_ADDRESS_HELD] =
        {
            .reason = REASON_ADDRESS_HELD,
            .group = REASON_GROUP_NETWORKS,
            .check = REASON_CHECK_NETWORKS,
            .trouble = true,
            .code = "SEK-N007",
            .sentence = "{detail|somebody} cannot have the address that is his",
            .explanation = "The configuration or the RADIUS server says which address this user "
                           "gets, and it is in use, or not among the addresses of remote-access "
                           "{site|NAME}.",
            .causes = {"Another session of the same user has it.",
                       "The RADIUS server gives an address that is not in the pool, to which no "
                       "route leads."},
            .steps = {"Run: sekisho pools",
                      "Add the address to the line addresses of remote-access {site|NAME}."},
        },
    [REASON_NO_SETTINGS] =
        {
            .reason = REASON_NO_SETTINGS,
            .group = REASON_GROUP_NETWORKS,
            .check = REASON_CHECK_NETWORKS,
            .trouble = true,
            .code = "SEK-N008",
            .sentence = "no address was given: {detail|the peer gives none}",
            .explanation = "Who logs in is given an address (mode-config) before traffic can be "
                           "agreed on. {detail|The peer gave none.}",
            .causes = {"The pool of the gateway is empty.",
                       "The gateway pushes settings, and the client asks, or the reverse."},
            .steps = {"If we are the client, try: address take",
                      "If we are the gateway, run: sekisho pools"},
        },
    [REASON_SESSIONS_FULL] =
        {
            .reason = REASON_SESSIONS_FULL,
            .group = REASON_GROUP_NETWORKS,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-N009",
            .sentence = "{detail|a user} has as many sessions as a user may",
            .explanation = "The login was right, but the user is in already, and remote-access "
                           "{site|NAME} says max-sessions with refuse.",
            .causes = {"The user has another device that is connected.",
                       "The line of the user broke, and his old session has not ended yet."},
            .steps = {"End the old session: sekisho down USER",
                      "Let a new one take its place: max-sessions 1 oldest-goes",
                      "Allow more: max-sessions 2"},
        },

    /* ---- data ---- */
    [REASON_ONE_WAY] =
        {
            .reason = REASON_ONE_WAY,
            .group = REASON_GROUP_DATA,
            .check = REASON_CHECK_DATA,
            .trouble = true,
            .code = "SEK-D001",
            .sentence = "the tunnel is up, but nothing comes back through it",
            .explanation =
                "We send packets into the tunnel and have not received a single one from it.",
            .causes = {"A firewall or NAT on the way drops ESP (IP protocol 50).",
                       "The hosts behind the peer have no route back through their gateway.",
                       "A firewall behind the peer drops the packets."},
            .steps = {"Add to site {site|NAME}: encapsulate always",
                      "From behind the peer, ping a host behind us and look whether it arrives."},
        },
    [REASON_REPLAY] =
        {
            .reason = REASON_REPLAY,
            .group = REASON_GROUP_DATA,
            .check = REASON_CHECK_DATA,
            .trouble = true,
            .code = "SEK-D002",
            .sentence = "packets arrive twice or very late and are dropped ({detail|many})",
            .explanation = "Each packet has a number and is accepted once, within a window of the "
                           "newest ones.",
            .causes =
                {"The path reorders packets by more than the window (several lines, QoS queues).",
                 "Something on the way doubles packets.", "Somebody replays recorded packets."},
            .steps = {"Raise replay-window in site {site|NAME}."},
        },
    [REASON_FORGED] =
        {
            .reason = REASON_FORGED,
            .group = REASON_GROUP_DATA,
            .check = REASON_CHECK_DATA,
            .trouble = true,
            .code = "SEK-D003",
            .sentence = "packets fail the integrity check and are dropped ({detail|some})",
            .explanation = "These packets were altered on the way, or never came from the peer.",
            .causes = {"A device on the way alters packets (broken offload, a helper for VPN).",
                       "Somebody sends forged packets."},
            .steps =
                {"Switch checksum and segmentation offloads of the outer interface off for a test.",
                 "Switch IPsec helpers of routers in between off."},
        },
    [REASON_MTU] =
        {
            .reason = REASON_MTU,
            .group = REASON_GROUP_DATA,
            .check = REASON_CHECK_DATA,
            .trouble = true,
            .code = "SEK-D004",
            .sentence = "large packets do not fit the path ({detail|see path MTU})",
            .explanation =
                "Small packets pass and large ones disappear: connections open and then hang.",
            .causes = {"A router on the way drops ICMP \"too big\".",
                       "A line with a smaller MTU (PPPoE, another tunnel) is on the way."},
            .steps = {"Lower mtu or mss in site {site|NAME}.",
                      "Let ICMP type 3 code 4 and ICMPv6 type 2 pass."},
        },
    [REASON_POLICY_DROP] =
        {
            .reason = REASON_POLICY_DROP,
            .group = REASON_GROUP_DATA,
            .check = REASON_CHECK_DATA,
            .trouble = true,
            .code = "SEK-D005",
            .sentence = "packets that belong to no site are dropped ({detail|some})",
            .explanation =
                "A packet came to the tunnel device, and no site has both its source and its "
                "destination.",
            .causes = {"The source is not in any lan of the gateway.",
                       "A route leads more to the device than the sites have."},
            .steps = {"Add the network to lan or network of the site that it belongs to."},
        },
    [REASON_SELECTOR_MISMATCH] =
        {
            .reason = REASON_SELECTOR_MISMATCH,
            .group = REASON_GROUP_DATA,
            .check = REASON_CHECK_DATA,
            .trouble = true,
            .code = "SEK-D006",
            .sentence =
                "the peer sends packets that were not agreed on; they are dropped ({detail|some})",
            .explanation =
                "Inside the tunnel came packets with addresses outside of the agreed networks.",
            .causes = {"The peer routes more networks into the tunnel than it agreed on.",
                       "The peer rewrites addresses (NAT) before it encrypts."},
            .steps = {"Correct the networks of the peer, or add them to site {site|NAME}."},
        },
    [REASON_UNKNOWN_SPI] =
        {
            .reason = REASON_UNKNOWN_SPI,
            .group = REASON_GROUP_DATA,
            .check = REASON_CHECK_NONE,
            .trouble = true,
            .code = "SEK-D007",
            .sentence = "{peer|somebody} sends packets for a tunnel that is not there any more",
            .explanation = "The number (SPI) in the packets belongs to no SA of ours.",
            .causes = {"One side was restarted and the other has not noticed yet."},
            .steps = {"Wait for the dead-peer detection, or run: sekisho restart {site|NAME}"},
        },

    /* ---- life ---- */
    [REASON_STARTING] =
        {
            .reason = REASON_STARTING,
            .group = REASON_GROUP_LIFE,
            .check = REASON_CHECK_NONE,
            .code = "SEK-L001",
            .sentence = "is being connected",
            .explanation = "The negotiation is under way.",
        },
    [REASON_WAITING_PEER] =
        {
            .reason = REASON_WAITING_PEER,
            .group = REASON_GROUP_LIFE,
            .check = REASON_CHECK_NONE,
            .code = "SEK-L002",
            .sentence = "waits for the peer to begin",
            .explanation = "The site is configured to answer only (start wait).",
            .steps = {"To begin from here: sekisho up {site|NAME}"},
        },
    [REASON_WAITING_TRAFFIC] =
        {
            .reason = REASON_WAITING_TRAFFIC,
            .group = REASON_GROUP_LIFE,
            .check = REASON_CHECK_NONE,
            .code = "SEK-L003",
            .sentence = "waits for traffic",
            .explanation =
                "The site is connected when the first packet for it comes (start on-traffic).",
            .steps = {"To begin at once: sekisho up {site|NAME}"},
        },
    [REASON_DOWN_BY_ORDER] =
        {
            .reason = REASON_DOWN_BY_ORDER,
            .group = REASON_GROUP_LIFE,
            .check = REASON_CHECK_NONE,
            .code = "SEK-L004",
            .sentence = "was taken down by order",
            .explanation = "Somebody ran: sekisho down {site|NAME}. Traffic for it is dropped.",
            .steps = {"To bring it back: sekisho up {site|NAME}"},
        },
    [REASON_DISABLED] =
        {
            .reason = REASON_DISABLED,
            .group = REASON_GROUP_LIFE,
            .check = REASON_CHECK_NONE,
            .code = "SEK-L005",
            .sentence = "is disabled in the configuration",
            .explanation = "The site says \"disabled\": it is checked, but not used.",
            .steps = {"Remove the word disabled from site {site|NAME} and run: sekisho apply"},
        },
    [REASON_PEER_DELETED] =
        {
            .reason = REASON_PEER_DELETED,
            .group = REASON_GROUP_LIFE,
            .check = REASON_CHECK_NONE,
            .trouble = true,
            .code = "SEK-L006",
            .sentence = "the peer closed the connection",
            .explanation = "The peer sent a Delete. It is called again.",
            .causes = {"The peer was stopped, restarted or configured anew.",
                       "The peer closes connections that carry no traffic."},
            .steps = {"Look into the peer's log if it goes on."},
        },
    [REASON_PEER_DEAD] =
        {
            .reason = REASON_PEER_DEAD,
            .group = REASON_GROUP_LIFE,
            .check = REASON_CHECK_REACH,
            .trouble = true,
            .code = "SEK-L007",
            .sentence = "the peer stopped answering",
            .explanation =
                "The connection was up, then nothing came from {peer|the peer} and our questions "
                "went unanswered. It is called again.",
            .causes = {"The peer or its line failed.", "Our own line failed.",
                       "A firewall forgot about the connection."},
            .steps = {"Run: ping {peer|ADDRESS}"},
        },
    [REASON_REPLACED] =
        {
            .reason = REASON_REPLACED,
            .group = REASON_GROUP_LIFE,
            .check = REASON_CHECK_NONE,
            .code = "SEK-L008",
            .sentence = "was replaced by a newer connection of the same peer",
            .explanation = "The peer connected again (after a restart, or both sides began at "
                           "once); the newer "
                           "connection stays.",
        },
    [REASON_CHILD_GONE] =
        {
            .reason = REASON_CHILD_GONE,
            .group = REASON_GROUP_LIFE,
            .check = REASON_CHECK_NETWORKS,
            .trouble = true,
            .code = "SEK-L009",
            .sentence = "the peer closed the tunnel for the networks",
            .explanation = "The peers still know each other, but there is no SA for data. It is "
                           "asked for again.",
            .causes = {"The peer closes tunnels that carry no traffic.",
                       "The peer was configured anew."},
            .steps = {"Look into the peer's log if it goes on."},
        },
    [REASON_NOT_PROVEN_AGAIN] =
        {
            .reason = REASON_NOT_PROVEN_AGAIN,
            .group = REASON_GROUP_LIFE,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-L013",
            .sentence = "the peer did not prove again in time who it is",
            .explanation =
                "The line reauthenticate of site {site|NAME} says how long a proof is good, and no "
                "new negotiation came to its end before that: the connection was closed.",
            .causes =
                {"The peer's certificate expired or was revoked, or its key was changed.",
                 "The peer called us, knows nothing of such a limit (RFC 4478), and we cannot "
                 "call it.",
                 "The peer did not answer while the new negotiation was tried."},
            .steps =
                {"Run: sekisho explain {site|NAME}",
                 "Take the line reauthenticate out if new keys are all that you want: lifetime "
                 "renews them."},
        },
    [REASON_HALF_OPEN] =
        {
            .reason = REASON_HALF_OPEN,
            .group = REASON_GROUP_LIFE,
            .check = REASON_CHECK_REACH,
            .trouble = true,
            .code = "SEK-L010",
            .sentence = "the peer began and did not go on",
            .explanation = "The peer's first message was answered, but its second never came.",
            .causes = {"Our answer does not reach the peer.", "UDP 4500 is blocked towards us.",
                       "The peer did not like our answer and went away in silence."},
            .steps = {"Allow UDP 4500 towards this machine.", "Look into the peer's log."},
        },
    [REASON_REKEY_REFUSED] =
        {
            .reason = REASON_REKEY_REFUSED,
            .group = REASON_GROUP_LIFE,
            .check = REASON_CHECK_NONE,
            .trouble = true,
            .code = "SEK-L011",
            .sentence = "the peer refuses to renew the keys: {detail|no reason given}",
            .explanation = "The connection works until its keys are too old; then it is made anew, "
                           "with a short "
                           "gap.",
            .causes = {"Perfect forward secrecy (PFS) is configured differently: it shows at the "
                       "first rekey.",
                       "The peer was configured anew in the meantime."},
            .steps = {"Compare the lines esp and pfs of both sides."},
        },
    [REASON_STOPPING] =
        {
            .reason = REASON_STOPPING,
            .group = REASON_GROUP_LIFE,
            .check = REASON_CHECK_NONE,
            .code = "SEK-L012",
            .sentence = "the gateway is being stopped",
            .explanation = "Connections are closed and routes taken back.",
        },
    [REASON_RENEWAL_FAILS] =
        {
            .reason = REASON_RENEWAL_FAILS,
            .group = REASON_GROUP_LIFE,
            .check = REASON_CHECK_NONE,
            .trouble = true,
            .code = "SEK-L014",
            .sentence = "the keys of the traffic cannot be renewed: we have {ours|another pfs}; "
                        "the peer {theirs|refuses}",
            .explanation = "The connection works until its keys are too old, and breaks then. It "
                           "shows already because a renewal is tried right after connecting "
                           "(verify-rekey). In the first keys no key exchange of their own takes "
                           "part, so both sides agree on them whatever they want of PFS.",
            .causes = {"Perfect forward secrecy (PFS) is configured differently.",
                       "Both have PFS, and no group in common for it."},
            .steps = {"Here: pfs off, or pfs prefer, which takes what the peer has.",
                      "On the peer: switch PFS on, with one of the groups of esp here."},
        },
    [REASON_PEER_RESTARTED] =
        {
            .reason = REASON_PEER_RESTARTED,
            .group = REASON_GROUP_LIFE,
            .check = REASON_CHECK_REACH,
            .trouble = true,
            .code = "SEK-L015",
            .sentence = "the peer was started again and has lost the connection",
            .explanation = "{peer|The peer} answered with the token that only it can know (RFC "
                           "6290, crash-tokens): the connection is gone there, so it was given up "
                           "here and the peer is called again at once.",
            .causes = {"The peer's daemon was killed or failed.",
                       "The peer was booted without taking leave."},
            .steps = {"Look into the peer's log if it goes on."},
        },

    /* ---- local ---- */
    [REASON_NO_SECRET] =
        {
            .reason = REASON_NO_SECRET,
            .group = REASON_GROUP_LOCAL,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-H002",
            .sentence = "the shared key cannot be read: {detail|not found}",
            .explanation = "The key of site {site|NAME} is kept in a file of its own, which must "
                           "belong to the "
                           "service and be closed to all others.",
            .causes =
                {"The secret was never made.",
                 "Its file may be read by others (mode must be 0600) or belongs to somebody else."},
            .steps = {"Make it: sekisho secret new NAME, or enter it: sekisho secret set NAME",
                      "Run: chmod 600 on the file of the secret."},
        },
    [REASON_NO_CERTIFICATE] =
        {
            .reason = REASON_NO_CERTIFICATE,
            .group = REASON_GROUP_LOCAL,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-H006",
            .sentence = "our certificate cannot be used: {detail|not found}",
            .explanation = "Site {site|NAME} has no line key, so both sides prove themselves by "
                           "certificates. Ours, its key and the authorities that are trusted are "
                           "read from files.",
            .causes = {"The certificate was never made, or stands in another place.",
                       "The file of the key may be read by others (mode must be 0600)."},
            .steps = {"Run: sekisho help certificate",
                      "For a shared key instead, add to site {site|NAME}: key @NAME"},
        },
    [REASON_RESOURCES] =
        {
            .reason = REASON_RESOURCES,
            .group = REASON_GROUP_LOCAL,
            .check = REASON_CHECK_NONE,
            .trouble = true,
            .code = "SEK-H003",
            .sentence = "this machine is short of something: {detail|memory}",
            .explanation = "A limit of the gateway or of the system was reached.",
            .causes = {"More sites or handshakes than the limits allow.", "Too little memory."},
            .steps = {"Look at: sekisho status -v"},
        },
    [REASON_ROUTE_FAILED] =
        {
            .reason = REASON_ROUTE_FAILED,
            .group = REASON_GROUP_LOCAL,
            .check = REASON_CHECK_DATA,
            .trouble = true,
            .code = "SEK-H004",
            .sentence = "a route could not be set: {detail|unknown}",
            .explanation = "Without the route, packets for the site do not reach the tunnel.",
            .causes = {"Another program owns a route to the same network.",
                       "The service may not change routes (container without NET_ADMIN)."},
            .steps = {"Run: ip route show table all",
                      "Remove the other route and run: sekisho apply",
                      "Or say routes off in site {site|NAME}."},
        },
    [REASON_MANUAL_KEYS] =
        {
            .reason = REASON_MANUAL_KEYS,
            .group = REASON_GROUP_LOCAL,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-H005",
            .sentence = "its manual keys cannot be used: {detail|unknown}",
            .explanation = "A block of manual keys is up when all of its keys are there and have "
                           "the right length; its traffic is dropped until then.",
            .causes = {"A secret is missing, or its text is neither hexadecimal nor base64.",
                       "A key has a length that its algorithm does not have."},
            .steps = {"Run: sekisho secret set NAME", "Then: sekisho up {site|NAME}"},
        },
    [REASON_TOKEN] =
        {
            .reason = REASON_TOKEN,
            .group = REASON_GROUP_LOCAL,
            .check = REASON_CHECK_IDENTITY,
            .trouble = true,
            .code = "SEK-H007",
            .sentence = "our key in the token cannot be used: {detail|unknown}",
            .explanation =
                "The line certificate of site {site|NAME} names a private key in a token (smart "
                "card, HSM, TPM; PKCS#11). Without it we can prove ourselves to nobody. As soon as "
                "the token is there again it is used by itself; a PIN that was refused is not "
                "tried again before it was changed.",
            .causes = {"The token is not plugged in, or its service (pcscd) does not run.",
                       "The PIN is wrong or locked.",
                       "The URI names another token, another key, or a module that p11-kit does "
                       "not know.",
                       "The certificate belongs to another key."},
            .steps = {"See what is there: p11tool --list-tokens, or pkcs11-tool -L",
                      "For the PIN: sekisho secret set NAME, then: sekisho apply",
                      "Try it without the daemon: sekisho check FILE"},
        },
};

const struct reason_entry *reason_get(enum reason reason)
{
    assert(reason < REASON_COUNT);
    return &entries[reason];
}

const char *reason_code(enum reason reason)
{
    return reason_get(reason)->code;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

const struct reason_entry *reason_find(struct slice code)
{
    for (size_t i = 0; i < REASON_COUNT; i++) {
        const char *known = entries[i].code;
        size_t length = strlen(known);
        size_t same = 0;

        while (same < length && same < code.length &&
               lower(known[same]) == lower((char)code.data[same])) {
            same++;
        }
        if (same == length && same == code.length) {
            return &entries[i];
        }
    }
    return NULL;
}

const char *reason_group_name(enum reason_group group)
{
    static const char *const names[REASON_GROUP_COUNT] = {
        "reach", "offer", "identity", "networks", "data", "life", "local",
    };

    assert(group < REASON_GROUP_COUNT);
    return names[group];
}

const char *reason_check_name(enum reason_check check)
{
    static const char *const names[REASON_CHECK_COUNT] = {
        "name", "reach", "offer", "identity", "networks", "data",
    };

    assert(check < REASON_CHECK_COUNT);
    return names[check];
}

static void add_slice(struct text *out, struct slice words)
{
    text_addf(out, "%.*s", (int)words.length, (const char *)words.data);
}

static const char *word_named(struct slice name, const struct reason_words *words)
{
    const char *word = NULL;

    if (slice_equal_text(name, "site")) {
        word = words->site;
    } else if (slice_equal_text(name, "peer")) {
        word = words->peer;
    } else if (slice_equal_text(name, "ours")) {
        word = words->ours;
    } else if (slice_equal_text(name, "theirs")) {
        word = words->theirs;
    } else if (slice_equal_text(name, "detail")) {
        word = words->detail;
    } else if (slice_equal_text(name, "key")) {
        word = words->key;
    } else {
        assert(!"a word in braces that nobody knows");
    }
    return word == NULL ? "" : word;
}

bool reason_line_applies(const char *line, const struct reason_words *words)
{
    if (line[0] != '{' || line[1] != '?') {
        return true;
    }
    struct slice name = {(const uint8_t *)line + 2, strcspn(line + 2, "}")};

    return word_named(name, words)[0] != '\0';
}

void reason_fill(const char *pattern, const struct reason_words *words, struct text *out)
{
    while (*pattern != '\0') {
        size_t plain = strcspn(pattern, "{");

        add_slice(out, (struct slice){(const uint8_t *)pattern, plain});
        pattern += plain;
        if (*pattern == '\0') {
            return;
        }
        pattern++;
        size_t name = strcspn(pattern, "|}");
        size_t whole = strcspn(pattern, "}");

        assert(pattern[whole] == '}');
        if (*pattern == '?') {
            pattern += whole + 1;
            continue;
        }
        const char *word = word_named((struct slice){(const uint8_t *)pattern, name}, words);

        if (word[0] != '\0') {
            text_add(out, word);
        } else if (name < whole) {
            add_slice(out, (struct slice){(const uint8_t *)pattern + name + 1, whole - name - 1});
        }
        pattern += whole + 1;
    }
}

void reason_sentence(enum reason reason, const struct reason_words *words, struct text *out)
{
    reason_fill(reason_get(reason)->sentence, words, out);
}

/* In the manual a word stands for itself: {peer|the peer} is said as "the peer". */
static const struct reason_words no_words = {NULL, NULL, NULL, NULL, NULL};

static void manual_lines(const char *title, const char *const lines[REASON_LINES_MAX],
                         struct text *out)
{
    if (lines[0] == NULL) {
        return;
    }
    text_addf(out, "\t%s\n\n", title);
    for (size_t i = 0; i < REASON_LINES_MAX && lines[i] != NULL; i++) {
        text_add(out, "\t- ");
        reason_fill(lines[i], &no_words, out);
        text_add(out, "\n");
    }
    text_add(out, "\n");
}

void reason_manual(struct text *out)
{
    static const char *const titles[REASON_GROUP_COUNT] = {
        "REACHING THE PEER", "AGREEING ON ALGORITHMS", "IDENTITIES AND KEYS",    "NETWORKS",
        "THE DATA",          "LIFE OF A CONNECTION",   "ON THIS MACHINE ITSELF",
    };

    for (size_t group = 0; group < REASON_GROUP_COUNT; group++) {
        text_addf(out, "# %s\n\n", titles[group]);
        for (size_t i = 0; i < REASON_COUNT; i++) {
            const struct reason_entry *entry = &entries[i];

            if (entry->group != (enum reason_group)group || i == REASON_NONE) {
                continue;
            }
            text_addf(out, "*%s* ", entry->code);
            reason_fill(entry->sentence, &no_words, out);
            text_add(out, "\n\n\t");
            reason_fill(entry->explanation, &no_words, out);
            text_add(out, "\n\n");
            manual_lines("Likely causes, in this order:", entry->causes, out);
            manual_lines("What to do:", entry->steps, out);
        }
    }
}
