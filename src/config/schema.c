/*
 * The words of the language, their defaults and what they mean; which words belong to other
 * versions; and how the simple kinds of values are read and written.
 */
#include "config/schema.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define AT_GATEWAY(member) .scope = SCOPE_GATEWAY, .offset = offsetof(struct config, member)
#define AT_SITE(member) .scope = SCOPE_SITE, .offset = offsetof(struct config_site, member)
#define AT_MANUAL(member) .scope = SCOPE_MANUAL, .offset = offsetof(struct config_manual, member)
#define MANY STATEMENT_WORDS_MAX
/* Written with all its words it still fits a statement. */
#define POLICY_WORDS_MAX (STATEMENT_WORDS_MAX - 16)

static const char *const on_off[] = {"on", "off", NULL};
static const char *const pfs_words[] = {"prefer", "on", "off", NULL};
static const char *const post_quantum_words[] = {"prefer", "required", "off", NULL};
static const char *const verify_words[] = {"auto", "on", "off", NULL};
static const char *const encapsulate_words[] = {"auto", "always", "never", NULL};
static const char *const mode_words[] = {"tunnel", "transport", NULL};
static const char *const truncate_words[] = {"off", "sha2-96", NULL};
static const char *const df_words[] = {"set", "copy", "clear", NULL};
static const char *const fragment_words[] = {"before", "after", NULL};
static const char *const dscp_words[] = {"copy", "clear", NULL};
static const char *const ah_align_words[] = {"32", "64", NULL};
static const char *const each_words[] = {"off", "host", "connection", NULL};
static const char *const icmp_words[] = {"relay", "selectors", NULL};
static const char *const guard_words[] = {"auto", "on", "off", NULL};
static const char *const offload_words[] = {"all", "tun", "udp", "off", NULL};
static const char *const revocation_words[] = {"normal", "strict", "off", NULL};
static const char *const children_words[] = {"together", "per-pair", NULL};
static const char *const follow_words[] = {"proven", "on", "off", NULL};
static const char *const resume_key_words[] = {"memory", "disk", NULL};
static const char *const start_words[] = {"now", "on-traffic", "wait", NULL};

static const struct schema_word schema[] = {
    {.word = "gateway",
     .scope = SCOPE_GATEWAY,
     .least = 1,
     .most = 1,
     .take = take_gateway,
     .write = write_gateway,
     .arguments = "NAME",
     .example = "gateway tokyo.example.jp",
     .meaning =
         "Our name, a host name or an address: the identity that we prove to every peer, and "
         "what others dial. Must be said."},
    {.word = "lan",
     .scope = SCOPE_GATEWAY,
     .repeats = true,
     .least = 1,
     .most = MANY,
     .take = take_lan,
     .write = write_lan,
     .arguments = "NETWORK...",
     .example = "lan 10.1.0.0/16",
     .meaning = "Networks behind us that sites may reach. A site can have its own."},
    {.word = "uplink",
     .scope = SCOPE_GATEWAY,
     .effect = EFFECT_NOW,
     .repeats = true,
     .least = 1,
     .most = CONFIG_UPLINKS_MAX,
     .take = take_uplink,
     .write = write_uplink,
     .arguments = "INTERFACE | ADDRESS...",
     .standard = NULL,
     .example = "uplink eth0 wwan0",
     .meaning =
         "The lines by which peers are reached, the best first: interfaces, with whatever address "
         "they have, or addresses of ours. A tunnel that we began goes by the first that works, "
         "leaves one that is gone or silent, and goes back when a better one works again. Without "
         "the word the system's routes decide."},
    {.word = "listen",
     .scope = SCOPE_GATEWAY,
     .repeats = true,
     .least = 1,
     .most = MANY,
     .take = take_listen,
     .write = write_listen,
     .arguments = "ADDRESS...",
     .standard = "all addresses of the machine",
     .example = "listen 203.0.113.1",
     .meaning = "Our outer addresses on which peers are answered, at most eight."},
    {.word = "port",
     .scope = SCOPE_GATEWAY,
     .least = 1,
     .most = 3,
     .take = take_port,
     .write = write_port,
     .arguments = "PORT [nat PORT]",
     .standard = "500 nat 4500",
     .example = "port 500 nat 4500",
     .meaning = "The UDP ports of IKE, without and with NAT traversal."},
    {.word = "tcp-port",
     .scope = SCOPE_GATEWAY,
     .least = 1,
     .most = CONFIG_TCP_PORTS_MAX,
     .take = take_tcp_port,
     .write = write_tcp_port,
     .arguments = "PORT... | off",
     .standard = "off",
     .example = "tcp-port 4500 443",
     .meaning = "The TCP ports on which peers may call whose networks let no UDP through (RFC "
                "9329), at most four: IKE and ESP then go over one connection. 4500 is the usual "
                "one; 443 passes most firewalls. Every site may be called so. UDP is faster and "
                "stays what peers should try first. Takes effect after a restart."},
    {.word = "crl-port",
     AT_GATEWAY(crl_port),
     .kind = KIND_NUMBER,
     .least = 1,
     .most = 1,
     .least_value = 0,
     .most_value = UINT16_MAX,
     .arguments = "PORT",
     .standard = "0",
     .example = "crl-port 8080",
     .meaning = "The TCP port on which this machine gives the list of what its own authority "
                "revoked (sekisho ca) to whoever asks by HTTP for /ca.crl, and nothing else. 0: "
                "nobody is answered. Where peers find it stands in certificates that are issued "
                "after: sekisho ca crl --url http://HOST:PORT/ca.crl; or in their line crl."},
    {.word = "device",
     .scope = SCOPE_GATEWAY,
     .least = 1,
     .most = 1,
     .take = take_device,
     .write = write_device,
     .arguments = "NAME",
     .standard = DEFAULT_DEVICE,
     .example = "device sekisho0",
     .meaning = "The name of the network device through which traffic of sites passes."},
    {.word = "offload",
     AT_GATEWAY(offload),
     .kind = KIND_CHOICE,
     .choices = offload_words,
     .least = 1,
     .most = 1,
     .arguments = "all | tun | udp | off",
     .standard = "all",
     .example = "offload tun",
     .meaning =
         "Where the system hands over, and takes, many packets of a flow in one piece, which is "
         "much faster: at our device ('tun': TCP and UDP of the networks inside), outside ('udp': "
         "ESP in UDP; native ESP comes by a ring), at both or nowhere. What the packets hold is "
         "the same. It is tested at the "
         "start and left out where the system does it wrong or not at all; 'sekisho status' says "
         "so. Takes effect after a restart."},
    {.word = "workers",
     .scope = SCOPE_GATEWAY,
     .least = 1,
     .most = 1,
     .take = take_workers,
     .write = write_workers,
     .arguments = "auto | NUMBER",
     .standard = "auto",
     .example = "workers 4",
     .meaning =
         "Threads through which packets go, 1 to 32. One does everything; of several, half "
         "(rounded down) take packets from outside and the others those from inside. A flow "
         "always meets the same ones, so its order stays. From four on, several flows of one "
         "tunnel can overtake each other on their way out, so the peer needs a large replay "
         "window. 'auto': as many as there are processors, at most 4, of which one takes "
         "those from inside. Takes effect after a restart."},
    {.word = "redirect",
     .scope = SCOPE_GATEWAY,
     .least = 1,
     .most = 1,
     .take = take_redirect,
     .write = write_redirect,
     .arguments = "ADDRESS | NAME | off",
     .standard = "off",
     .example = "redirect 203.0.113.9",
     .meaning =
         "Whoever calls, and can be sent elsewhere (RFC 5685), is sent to this gateway before "
         "anything is computed for him; it must prove what we would have. Who was sent here by "
         "another one stays, and so does who is connected."},
    {.word = "crash-tokens",
     AT_GATEWAY(crash_tokens),
     .kind = KIND_SWITCH,
     .least = 1,
     .most = 1,
     .arguments = "on | off",
     .standard = "off",
     .example = "crash-tokens on",
     .meaning =
         "Each peer is told what he can know by that we were killed and started again (RFC 6290), "
         "so that he need not wait to be sure of it. The secret behind it is kept in the daemon's "
         "state directory, for its user alone; whoever reads it can end all connections. What "
         "peers tell us is always used. Takes effect after a restart."},
    {.word = "resume-key",
     AT_GATEWAY(resume_key),
     .kind = KIND_CHOICE,
     .choices = resume_key_words,
     .least = 1,
     .most = 1,
     .arguments = "memory | disk",
     .standard = "memory",
     .example = "resume-key disk",
     .meaning =
         "Where the key is kept with which tickets (see 'resume') are sealed. 'disk': in the "
         "daemon's run directory, for its user alone, so that tickets are good after it was killed "
         "and started again; whoever can read it there can open the tickets of the last day. Takes "
         "effect after a restart."},
    {.word = "cookie-threshold",
     AT_GATEWAY(cookie_threshold),
     .kind = KIND_NUMBER,
     .least = 1,
     .most = 1,
     .least_value = 0,
     .most_value = 1000000,
     .arguments = "NUMBER",
     .standard = "30",
     .example = "cookie-threshold 30",
     .meaning = "When so many handshakes are half open, strangers must first prove their address "
                "with a cookie. 0: always."},
    {.word = "half-open-max",
     AT_GATEWAY(half_open_max),
     .kind = KIND_NUMBER,
     .least = 1,
     .most = 1,
     .least_value = 1,
     .most_value = 1000000,
     .arguments = "NUMBER",
     .standard = "10000",
     .example = "half-open-max 10000",
     .meaning = "No more handshakes than this are half open at a time; further ones are not "
                "answered."},
    {.word = "include",
     .scope = SCOPE_GATEWAY,
     .internal = true,
     .repeats = true,
     .least = 1,
     .most = MANY,
     .take = take_include,
     .arguments = "PATTERN...",
     .example = "include conf.d/*.conf",
     .meaning = "Reads further files in this place. A path that does not begin with '/' begins "
                "beside this file. A pattern with '*' or '?' may match nothing; a plain name must "
                "be there."},
    {.word = "set",
     .scope = SCOPE_GATEWAY,
     .internal = true,
     .repeats = true,
     .least = 2,
     .most = VARIABLE_WORDS_MAX,
     .take = take_set,
     .arguments = "NAME VALUE...",
     .example = "set branch 10.2.0.0/16 10.3.0.0/16",
     .meaning = "From here on the word $NAME stands for these words."},
    {.word = "site",
     .scope = SCOPE_GATEWAY,
     .block = true,
     .internal = true,
     .repeats = true,
     .least = 1,
     .most = 1,
     .take = site_begin,
     .arguments = "NAME {",
     .example = "site osaka {",
     .meaning = "A tunnel to another gateway and the networks behind it. The name is what commands "
                "and messages use."},
    {.word = "remote-access",
     .scope = SCOPE_GATEWAY,
     .block = true,
     .internal = true,
     .repeats = true,
     .least = 1,
     .most = 1,
     .take = access_begin,
     .arguments = "NAME {",
     .example = "remote-access staff {",
     .meaning = "People who come from anywhere, log in, and get an address. The name is what "
                "commands and messages use. The block also has these words of a site: lan, key, "
                "certificate, trust, crl, ocsp, revocation, name, say, ike, esp, legacy, "
                "lifetime, dpd, pfs, encapsulate, replay-window, fragmentation, mss, mtu, df, "
                "fragment, dscp, mtu-probe, vendor-ids, routes, disabled."},
    {.word = "bypass",
     .scope = SCOPE_GATEWAY,
     .repeats = true,
     .least = 4,
     .most = POLICY_WORDS_MAX,
     .take = take_policy,
     .write = write_policies,
     .arguments = "[PROTOCOL [PORTS]] from NETWORKS|any [port PORTS] to NETWORKS|any [port PORTS] "
                  "[icmp type NUMBER [code NUMBER]]",
     .example = "bypass udp 53 from 10.1.0.0/16 to any",
     .meaning = "This traffic, from our side to the other, and its answers, passes in the clear "
                "beside all tunnels. Networks may be ranges too: 10.1.0.1-10.1.0.9. Ports behind "
                "the protocol are those of the other side. 'bypass' and 'discard' are asked in "
                "the order in which they stand, before all sites; the first that fits decides. "
                "What passes leaves by the interface of the default route; the peer must let it "
                "in too."},
    {.word = "discard",
     .scope = SCOPE_GATEWAY,
     .repeats = true,
     .least = 4,
     .most = POLICY_WORDS_MAX,
     .take = take_policy,
     .write = write_nothing,
     .arguments = "[PROTOCOL [PORTS]] from NETWORKS|any [port PORTS] to NETWORKS|any [port PORTS] "
                  "[icmp type NUMBER [code NUMBER]]",
     .example = "discard tcp 25 from 10.1.0.0/16 to 10.2.0.0/16",
     .meaning = "This traffic, and what would be its answers, never passes, neither through a "
                "tunnel nor beside it. Written as 'bypass', with which it shares its order. Both "
                "judge what goes to networks of sites: no other traffic comes by here."},
    {.word = "icmp-errors",
     AT_GATEWAY(icmp_errors),
     .kind = KIND_CHOICE,
     .choices = icmp_words,
     .least = 1,
     .most = 1,
     .arguments = "relay | selectors",
     .standard = "relay",
     .example = "icmp-errors selectors",
     .meaning = "What happens to an ICMP error out of a tunnel whose sender is none of the "
                "tunnel's hosts, such as a router of the far network. 'relay': it passes when the "
                "packet that it quotes belongs to the tunnel (RFC 4301 6.2). 'selectors': it must "
                "belong to the tunnel itself."},
    {.word = "guard",
     AT_GATEWAY(guard),
     .kind = KIND_CHOICE,
     .choices = guard_words,
     .least = 1,
     .most = 1,
     .arguments = "auto | on | off",
     .standard = "auto",
     .example = "guard off",
     .meaning = "Packets that arrive in the clear although they should have come through a tunnel "
                "are dropped by a table of our own in the host's firewall. 'auto': where the host "
                "has such a firewall; 'on': or we do not start; 'off': the host's own rules do "
                "it."},
    {.word = "keep-keys",
     AT_GATEWAY(keep_keys),
     .kind = KIND_SWITCH,
     .least = 1,
     .most = 1,
     .arguments = "on | off",
     .standard = "off",
     .example = "keep-keys on",
     .meaning = "SAs that are made from then on keep their keys in readable form, so that 'sekisho "
                "capture --keys' can write them. Whoever may use the control socket can then read "
                "all traffic: for looking for a fault, not for every day."},
    {.word = "users",
     .scope = SCOPE_GATEWAY,
     .least = 2,
     .most = 2,
     .take = take_users,
     .write = write_users,
     .arguments = "from FILE",
     .example = "users from /etc/sekisho/users.conf",
     .meaning =
         "Users that stand in a file of yours, a line each: name, groups, verifier (sekisho users "
         "hash makes it). Those that 'sekisho users add' keeps are there beside them."},
    {.word = "radius",
     .scope = SCOPE_GATEWAY,
     .repeats = true,
     .least = 2,
     .most = 7,
     .take = take_radius,
     .write = write_radius,
     .arguments = "ADDRESS @NAME [port PORT] [accounting PORT | off] [unsigned-replies]",
     .example = "radius 10.1.0.20 @radius",
     .meaning =
         "A RADIUS server that knows who may log in (RFC 2865), with the secret that it shares "
         "with us. The first that answers is asked; one that does not is left alone for a while. "
         "Replies must be signed with Message-Authenticator: 'unsigned-replies' takes those of old "
         "servers that do not sign, which somebody on the way can forge (CVE-2024-3596)."},
    {.word = "manual",
     .scope = SCOPE_GATEWAY,
     .block = true,
     .internal = true,
     .repeats = true,
     .least = 1,
     .most = 1,
     .take = manual_begin,
     .arguments = "NAME {",
     .example = "manual museum {",
     .meaning = "A tunnel with keys that were made by hand, to a device that cannot negotiate. "
                "Nobody renews them and repeated packets are not known: where the peer can do "
                "IKE, write a site."},

    {.word = "peer",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NEGOTIATE,
     .repeats = true,
     .least = 1,
     .most = MANY,
     .take = take_peer,
     .write = write_peer,
     .arguments = "HOST... | any [port PORT]",
     .example = "peer osaka.example.jp",
     .meaning = "The other gateway: names or addresses, tried in this order. 'any' waits for it to "
                "call. Must be said."},
    {.word = "like",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .take = take_like,
     .write = write_like,
     .arguments = "PRODUCT",
     .example = "like fortigate",
     .meaning =
         "What the peer is: aws, azure, gcp, fortigate, cisco-ios, cisco-asa, paloalto, mikrotik, "
         "checkpoint, juniper, opnsense, strongswan, libreswan, windows, apple, android or "
         "sekisho. What such a peer wants of ike, esp, pfs, lifetime, dpd, encapsulate, "
         "fragmentation, children and vendor-ids is taken where the site says nothing about it; "
         "weak algorithms only where 'legacy' names them. 'sekisho show config --all' marks "
         "what came from it."},
    {.word = "network",
     .scope = SCOPE_SITE,
     .effect = EFFECT_CHILD,
     .repeats = true,
     .least = 1,
     .most = MANY,
     .take = take_network,
     .write = write_network,
     .arguments = "NETWORK...",
     .example = "network 10.2.0.0/16",
     .meaning = "Networks behind the peer. Their traffic goes through the tunnel or not at all. "
                "Must be said."},
    {.word = "lan",
     .scope = SCOPE_SITE,
     .effect = EFFECT_CHILD,
     .repeats = true,
     .least = 1,
     .most = MANY,
     .take = take_lan,
     .write = write_lan,
     .arguments = "NETWORK...",
     .standard = "the lan of the gateway",
     .example = "lan 10.1.7.0/24",
     .meaning = "Networks behind us that this site may reach, instead of the gateway's."},
    {.word = "only",
     .scope = SCOPE_SITE,
     .effect = EFFECT_CHILD,
     .least = 1,
     .most = 3,
     .take = take_only,
     .write = write_only,
     .arguments = "PROTOCOL [PORT[-PORT] [both]]",
     .standard = "all traffic",
     .example = "only tcp 25",
     .meaning = "Narrows the tunnel to one protocol, or to ports of the peer's networks. With "
                "'both' these ports of ours are in it as well, as two mail servers need it: by a "
                "second pair of SAs."},
    {.word = "key",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NEGOTIATE,
     .least = 1,
     .most = 1,
     .take = take_key,
     .write = write_key,
     .arguments = "@NAME",
     .example = "key @osaka",
     .meaning =
         "The shared key, by the name of a secret; the key itself never stands here. Make it "
         "with: sekisho secret new NAME. Without this line both sides prove themselves by "
         "certificates."},
    {.word = "login",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NEGOTIATE,
     .least = 2,
     .most = 3,
     .take = take_caller_login,
     .write = write_caller_login,
     .arguments = "USER @NAME [hybrid]",
     .example = "login alice @alice-password",
     .meaning = "The peer is a gateway for people, and asks for a name and a password (XAUTH, in "
                "IKEv1): what we answer. The password is a secret, by its name. With 'hybrid' the "
                "gateway proves itself by a certificate, and we have no line key."},
    {.word = "group-name",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NEGOTIATE,
     .least = 1,
     .most = 1,
     .take = take_caller_group,
     .write = write_caller_group,
     .arguments = "NAME",
     .example = "group-name staff",
     .meaning = "Who we say to be towards a gateway for people: the group whose key we have (a key "
                "ID, RFC 2407 4.6.2.11), in the place of 'say'."},
    {.word = "address",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NEGOTIATE,
     .least = 1,
     .most = 1,
     .take = take_caller_address,
     .write = write_caller_address,
     .arguments = "off | ask | take",
     .standard = "off",
     .example = "address ask",
     .meaning = "The peer gives us an address, which our device has as long as the tunnel is up, "
                "and says which networks are behind it (mode-config, in IKEv1); 'network' then "
                "stands for those, or narrows them. 'take': it says so without being asked."},
    {.word = "certificate",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NEGOTIATE,
     .least = 1,
     .most = 5,
     .take = take_certificate,
     .write = write_certificate,
     .arguments = "FILE [key FILE | key \"pkcs11:...\" [pin @NAME]]",
     .standard = "certificates/GATEWAY.pem key certificates/GATEWAY.key",
     .example = "certificate /etc/sekisho/tokyo.pem key /etc/sekisho/tokyo.key",
     .meaning =
         "Our certificate, with those between it and its authority behind it, and its private "
         "key, both in PEM; without 'key' in one file. A path that does not begin with / "
         "begins at the folder of the configuration. The key must be readable by its owner "
         "alone. A key in a token (smart card, HSM, TPM) is named by its URI (RFC 7512), in "
         "quotes: "
         "\"pkcs11:token=hsm;object=tokyo\", with ?module-path=FILE where the module is not known "
         "to p11-kit; the PIN is a secret: sekisho secret set NAME."},
    {.word = "trust",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NEGOTIATE,
     .repeats = true,
     .least = 1,
     .most = CONFIG_TRUSTS_MAX,
     .take = take_trust,
     .write = write_trust,
     .arguments = "FILE...",
     .standard = "certificates/authorities.pem",
     .example = "trust partner-ca.pem",
     .meaning =
         "Certificates of authorities, in PEM, to one of which the peer's must lead. The file "
         "may also hold the peer's own certificate, his public key alone (RFC 7670), and "
         "lists of what the authorities revoked."},
    {.word = "name",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NEGOTIATE,
     .least = 1,
     .most = 1,
     .take = take_name,
     .write = write_name,
     .arguments = "SUBJECT",
     .example = "name \"C=JP, O=Partner, CN=gw1\"",
     .meaning = "What the subject of the peer's certificate must be, where it has no host name or "
                "address of the peer. A value may be *, for any."},
    {.word = "revocation",
     AT_SITE(revocation),
     .kind = KIND_CHOICE,
     .choices = revocation_words,
     .effect = EFFECT_NEGOTIATE,
     .least = 1,
     .most = 1,
     .arguments = "normal | strict | off",
     .standard = "normal",
     .example = "revocation strict",
     .meaning =
         "What must be known about the peer's certificate and those between it and its "
         "authority: not that one is revoked ('normal': when nobody can be asked it is taken, and "
         "the log tells); that none is ('strict': when nobody can be asked it is refused); or "
         "nothing ('off': nobody is asked). Asked are lists in the files of 'trust', what the peer "
         "sends along, then 'ocsp' and 'crl', then the places that the certificate names. Only "
         "http is used, nothing is asked before the peer has proved to have a certificate that is "
         "good otherwise, and a handshake waits ten seconds at most."},
    {.word = "crl",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NEGOTIATE,
     .repeats = true,
     .least = 1,
     .most = CONFIG_REVOCATION_URLS_MAX,
     .take = take_crl,
     .write = write_crl,
     .arguments = "URL...",
     .standard = "what certificates name",
     .example = "crl http://ca.example.jp/partner.crl",
     .meaning =
         "Where lists of revoked certificates are, with http. They are kept in the folder of "
         "the state until the next ones are due."},
    {.word = "ocsp",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NEGOTIATE,
     .repeats = true,
     .least = 1,
     .most = CONFIG_REVOCATION_URLS_MAX,
     .take = take_ocsp,
     .write = write_ocsp,
     .arguments = "URL...",
     .standard = "what certificates name",
     .example = "ocsp http://ocsp.example.jp/",
     .meaning = "Who is asked about single certificates (RFC 6960), with http."},
    {.word = "say",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NEGOTIATE,
     .least = 1,
     .most = 1,
     .take = take_say,
     .write = write_say,
     .arguments = "IDENTITY",
     .standard = "the name of the gateway",
     .example = "say tokyo.example.jp",
     .meaning = "Who we say to be towards this peer: a name, an address, user@name, or @#hex for a "
                "key identifier."},
    {.word = "identity",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NEGOTIATE,
     .least = 1,
     .most = 1,
     .take = take_identity,
     .write = write_identity,
     .arguments = "IDENTITY | auto | any",
     .standard = "auto",
     .example = "identity gw1.partner.example",
     .meaning =
         "Who the peer must prove to be. 'auto': the host name of the first peer; a peer that "
         "is given by its address may have any name with a shared key, and must have that address "
         "in its certificate. 'any': whoever has the key, or a certificate of an authority that is "
         "trusted, from wherever it calls."},
    {.word = "strict-identity",
     AT_SITE(strict_identity),
     .kind = KIND_FLAG,
     .effect = EFFECT_NEGOTIATE,
     .least = 0,
     .most = 1,
     .arguments = "[on|off]",
     .standard = "off",
     .example = "strict-identity",
     .meaning = "The identity must be of the right type too. Some peers send a name as a key "
                "identifier, which is accepted otherwise."},
    {.word = "authenticate",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NEGOTIATE,
     .least = 1,
     .most = 1,
     .take = take_authenticate,
     .write = write_authenticate,
     .arguments = "signatures | rsa-encryption | rsa-encryption-revised",
     .standard = "signatures",
     .example = "authenticate rsa-encryption-revised",
     .meaning =
         "How both sides prove themselves with certificates. The two others are of IKEv1 (RFC 2409 "
         "5.2, 5.3): who can read what was encrypted with the key of his certificate is who he "
         "says "
         "he is. They need 'ike v1', 'legacy rsa-encryption', and in 'trust' the one public key or "
         "certificate of the peer; the key in 'certificate' must be used for nothing else, because "
         "the padding of that encryption is what attacks begin with."},
    {.word = "unauthenticated",
     AT_SITE(unauthenticated),
     .kind = KIND_FLAG,
     .effect = EFFECT_NEGOTIATE,
     .least = 0,
     .most = 1,
     .arguments = "[on|off]",
     .standard = "off",
     .example = "unauthenticated",
     .meaning =
         "Neither side proves who it is (RFC 7619), and there is no key and no certificate: the "
         "traffic is encrypted against those who only listen, and whoever stands between the two "
         "addresses can read and change it all. Both sides need the word, and the peer is known by "
         "its address alone, so it must be written as one. With 'ppk' the PPK is the proof, and "
         "must be required."},
    {.word = "ike",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NEGOTIATE,
     .repeats = true,
     .least = 1,
     .most = MANY,
     .take = take_ike,
     .write = write_ike,
     .arguments = "[v2 | v1 | either] [main | aggressive] [PROPOSAL...]",
     .standard =
         "v2 with AES-GCM, ChaCha20-Poly1305 or AES-CBC with SHA-2; X25519, P-256, P-384 or MODP "
         "from 2048 bits, and ML-KEM-768 or ML-KEM-1024 beside it where the peer can",
     .example = "ike aes256gcm16-prfsha384-ecp384",
     .meaning =
         "Which version of IKE is spoken, and what may protect the negotiation. v1 is for peers "
         "that "
         "have nothing newer: with a shared key, in Main Mode, or in Aggressive Mode where 'legacy "
         "aggressive' is said too; it can use AES-CBC, Camellia and 3DES only. With 'either' "
         "IKEv2 is tried first, and whoever can hinder it makes both sides speak IKEv1. A proposal "
         "is algorithms joined by '-': ciphers, "
         "hashes, key exchanges. ke1_ to ke7_ before a key exchange make it an additional one "
         "(RFC 9370), done after the first and before the peers prove who they are: with "
         "ke1_mlkem768 the keys stay secret even if X25519 falls one day; with ke1_none beside it "
         "a peer that cannot is welcome all the same."},
    {.word = "post-quantum",
     AT_SITE(post_quantum),
     .kind = KIND_CHOICE,
     .choices = post_quantum_words,
     .effect = EFFECT_NEGOTIATE,
     .least = 1,
     .most = 1,
     .arguments = "prefer | required | off",
     .standard = "prefer",
     .example = "post-quantum required",
     .meaning =
         "Whether ML-KEM is among the key exchanges, so that what somebody records today stays "
         "secret when there are quantum computers. 'prefer': where the peer can, and status says "
         "when it cannot; 'required': or not at all, and of the line ike only what has ML-KEM is "
         "used; 'off': never."},
    {.word = "ppk",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NEGOTIATE,
     .least = 1,
     .most = 6,
     .take = take_ppk,
     .write = write_ppk,
     .arguments = "@NAME [id ID] [opaque] [auth-only] [required | prefer]",
     .standard = "none",
     .example = "ppk @osaka-ppk id osaka-2026 required",
     .meaning =
         "A second shared key (RFC 8784, RFC 9867), by the name of a secret, that goes into all "
         "keys of "
         "the traffic: without it nobody reads what he recorded, not even with a quantum computer. "
         "It proves nothing by itself and stands beside 'key' or the certificates. Both sides need "
         "the same octets under the same ID, which is sent and is the name of the secret when it "
         "is not said; @# with hexadecimal digits is octets. 'required': or not at all; 'prefer': "
         "where the peer has it, and status says when it was not used. 'opaque' marks the ID as "
         "one of the kind PPK_ID_OPAQUE, which few peers want. It goes in before the peers say "
         "who they are where the peer can (RFC 9867), so that it protects the negotiation too; "
         "'auth-only': not when we call. Make it with: sekisho secret new NAME."},
    {.word = "esp",
     .scope = SCOPE_SITE,
     .effect = EFFECT_CHILD,
     .repeats = true,
     .least = 1,
     .most = MANY,
     .take = take_esp,
     .write = write_esp,
     .arguments = "PROPOSAL...",
     .standard = "AES-GCM, ChaCha20-Poly1305 or AES-CBC with SHA-2",
     .example = "esp aes256gcm16-x25519",
     .meaning =
         "What may protect the traffic. A key exchange in it is used for each new key unless "
         "pfs is off; without one, those of ike are. ke1_mlkem768 makes ML-KEM a part of each."},
    {.word = "pfs",
     AT_SITE(pfs),
     .kind = KIND_CHOICE,
     .choices = pfs_words,
     .effect = EFFECT_CHILD,
     .least = 1,
     .most = 1,
     .arguments = "prefer | on | off",
     .standard = "prefer",
     .example = "pfs on",
     .meaning = "Each new key of the traffic comes from a key exchange of its own, so that one "
                "stolen key opens no older traffic. 'prefer': when the peer can (many clients and "
                "gateways cannot, or are configured without); 'on': or not at all."},
    {.word = "verify-rekey",
     AT_SITE(verify_rekey),
     .kind = KIND_CHOICE,
     .choices = verify_words,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .arguments = "auto | on | off",
     .standard = "auto",
     .example = "verify-rekey on",
     .meaning = "Whether the keys of the traffic are renewed once right after we connected. What "
                "two sides want of PFS shows only then, which would else be after an hour. 'auto': "
                "where it can differ, that is with 'pfs on' and 'pfs off'."},
    {.word = "lifetime",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NOW,
     .repeats = true,
     .least = 2,
     .most = 8,
     .take = take_lifetime,
     .write = write_lifetime,
     .arguments = "[ike TIME] [child TIME] [bytes SIZE|off] [packets NUMBER|off]",
     .standard = "ike 4h child 1h bytes off packets off; bytes 1GiB with DES or 3DES",
     .example = "lifetime ike 8h child 30m",
     .meaning = "When new keys are made: for the negotiation, and for the traffic after a time, an "
                "amount or a number of packets."},
    {.word = "dpd",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .take = take_dpd,
     .write = write_dpd,
     .arguments = "TIME | off",
     .standard = "30s",
     .example = "dpd 10s",
     .meaning = "A peer that is silent for so long is asked whether it is alive; a dead one is "
                "dialled again."},
    {.word = "reauthenticate",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .take = take_reauthenticate,
     .write = write_reauthenticate,
     .arguments = "EVERY | off",
     .standard = "off",
     .example = "reauthenticate 8h",
     .meaning =
         "Both sides prove anew who they are, at least so often: a second negotiation is done "
         "beside the first, which is closed when the new one carries the traffic, so nothing is "
         "lost. A peer that called us is told so (RFC 4478); what nobody proves again in time is "
         "closed. New keys alone need no such thing: see 'lifetime'. A change counts from the "
         "next negotiation on."},
    {.word = "redirect",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .take = take_redirect,
     .write = write_redirect,
     .arguments = "ADDRESS | NAME | off",
     .standard = "off",
     .example = "redirect 203.0.113.9",
     .meaning =
         "When this peer calls, and can be sent elsewhere (RFC 5685), he is sent to this gateway "
         "as soon as he proved who he is. When the line is new, also if he called before and is "
         "connected."},
    {.word = "follow-redirect",
     AT_SITE(follow_redirects),
     .kind = KIND_CHOICE,
     .choices = follow_words,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .arguments = "proven | on | off",
     .standard = "proven",
     .example = "follow-redirect on",
     .meaning =
         "When we call, whether the peer may send us to another address or name (RFC 5685): when "
         "he proved who he is ('proven'), also before ('on': anybody on the way could send us "
         "somewhere), or never. Whoever is there must prove the same as the first one. Five times "
         "in five minutes, then no more; not in transport mode."},
    {.word = "resume",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .take = take_resume,
     .write = write_resume,
     .arguments = "TIME | off",
     .standard = "off",
     .example = "resume 1h",
     .meaning =
         "After a break the negotiation goes on where it was, without a key exchange and without "
         "proofs (RFC 5723), for so long after the last one in full: whoever calls keeps a ticket, "
         "and whoever is called a key that opens it. Both sides need the line. A ticket is good "
         "once, and not any more when anything of the site was changed. None are given where "
         "'reauthenticate' is set, or to certificates that may be revoked ('revocation off' says "
         "that they may not)."},
    {.word = "childless",
     AT_SITE(childless),
     .kind = KIND_SWITCH,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .arguments = "on | off",
     .standard = "off",
     .example = "childless on",
     .meaning =
         "When we call, the first negotiation makes no SA for data, where the peer can do without "
         "(RFC 6023); the next message makes it, with a key exchange of its own. One round trip "
         "more, and a peer that refuses our key exchanges for data (pfs) says so at once and not "
         "when the keys are renewed. A peer that calls us may do either."},
    {.word = "encapsulate",
     AT_SITE(encapsulate),
     .kind = KIND_CHOICE,
     .choices = encapsulate_words,
     .effect = EFFECT_NEGOTIATE,
     .least = 1,
     .most = 1,
     .arguments = "auto | always | never",
     .standard = "auto",
     .example = "encapsulate always",
     .meaning = "Whether ESP travels in UDP, on port 4500: when a NAT needs it or the peer is a "
                "Sekisho that prefers it too (it is faster), always (where something on the way "
                "blocks ESP), or never."},
    {.word = "mobike",
     AT_SITE(mobike),
     .kind = KIND_SWITCH,
     .effect = EFFECT_NEGOTIATE,
     .least = 1,
     .most = 1,
     .arguments = "on | off",
     .standard = "on",
     .example = "mobike off",
     .meaning = "When an address of either side changes, the tunnel moves there and stays what it "
                "is (RFC 4555), if the peer can; it then uses port 4500 from the beginning. 'off': "
                "a new one is made. In transport mode always off."},
    {.word = "uplink",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NOW,
     .repeats = true,
     .least = 1,
     .most = CONFIG_UPLINKS_MAX,
     .take = take_uplink,
     .write = write_uplink,
     .arguments = "INTERFACE | ADDRESS...",
     .standard = NULL,
     .example = "uplink eth0 wwan0",
     .meaning =
         "The lines by which this peer is reached, the best first, instead of those that are said "
         "outside of sites."},
    {.word = "return",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .take = take_return,
     .write = write_return,
     .arguments = "TIME | off",
     .standard = "1m",
     .example = "return 10m",
     .meaning =
         "With several peers: how long after one is in use that is not the first, those before it "
         "are called again, beside the tunnel that is there. When one of them answers and carries "
         "the traffic, the other tunnel is closed. Whoever does not answer is called after twice "
         "the time, up to sixteen times. 'off': the site stays where it is as long as that "
         "works."},
    {.word = "resolve",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .take = take_resolve,
     .write = write_resolve,
     .arguments = "TIME | off",
     .standard = "5m",
     .example = "resolve 1m",
     .meaning =
         "How often the name of the peer is asked for while a tunnel to it is up. When two answers "
         "in a row do not have the address in use any more, the tunnel goes to the new one: it "
         "moves if it is the same gateway that answers there, else another one is made beside it. "
         "An answer that does not come changes nothing. 'off': only before it is called."},
    {.word = "transport",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NEGOTIATE,
     .least = 1,
     .most = 2,
     .take = take_transport,
     .write = write_transport,
     .arguments = "udp | auto [PORT] | tcp [PORT]",
     .standard = "udp",
     .example = "transport auto 443",
     .meaning = "How the peer is called. 'auto': by UDP, and by TCP (RFC 9329) when UDP stays "
                "silent for 4 seconds; 'tcp': by TCP at once. PORT is the peer's TCP port, 4500 "
                "when nothing is said; the peer must listen there. IKE and ESP share the "
                "connection, and a broken one is replaced without a new handshake. Not with 'ah', "
                "'mode transport' and 'encapsulate never'."},
    {.word = "start",
     AT_SITE(start),
     .kind = KIND_CHOICE,
     .choices = start_words,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .arguments = "now | on-traffic | wait",
     .standard = "now; wait for 'peer any'",
     .example = "start on-traffic",
     .meaning = "When the tunnel is built: at once and kept up, with the first packet, or when the "
                "peer calls."},
    {.word = "legacy",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NEGOTIATE,
     .repeats = true,
     .least = 1,
     .most = LEGACY_WORDS_MAX,
     .take = take_legacy,
     .write = write_legacy,
     .arguments = "ALGORITHM... [aggressive] [rsa-encryption] [dss]",
     .standard = "nothing weak",
     .example = "legacy 3des sha1 modp1024",
     .meaning = "Weak algorithms, and ways of IKEv1, that this peer may use because it has nothing "
                "better. Where ike or "
                "esp are not said, these are offered last. Shown as weak wherever they are used."},
    {.word = "replay-window",
     .scope = SCOPE_SITE,
     .effect = EFFECT_CHILD,
     .least = 1,
     .most = 1,
     .take = take_replay_window,
     .write = write_replay_window,
     .arguments = "PACKETS",
     .standard = "1024",
     .example = "replay-window 4096",
     .meaning = "How late a packet may come before it is taken for a repeated one."},
    {.word = "mss",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .take = take_mss,
     .write = write_mss,
     .arguments = "auto | off | BYTES",
     .standard = "auto",
     .example = "mss 1360",
     .meaning = "TCP connections are told to send segments that fit the tunnel."},
    {.word = "mtu",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .take = take_mtu,
     .write = write_mtu,
     .arguments = "auto | BYTES",
     .standard = "auto",
     .example = "mtu 1400",
     .meaning = "The largest packet that goes through the tunnel whole."},
    {.word = "fragmentation",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NEGOTIATE,
     .least = 1,
     .most = 1,
     .take = take_fragmentation,
     .write = write_fragmentation,
     .arguments = "on | off | BYTES",
     .standard = "1280",
     .example = "fragmentation 576",
     .meaning = "Large messages of the negotiation are cut into packets of at most this size "
                "(RFC 7383). 'on' is 1280."},
    {.word = "mode",
     AT_SITE(carriage.mode),
     .kind = KIND_CHOICE,
     .choices = mode_words,
     .effect = EFFECT_CHILD,
     .least = 1,
     .most = 1,
     .arguments = "tunnel | transport",
     .standard = "tunnel",
     .example = "mode transport",
     .meaning = "'tunnel': between networks. 'transport': between our host and the peer's alone, "
                "without a second IP header; network and lan are left out then."},
    {.word = "ah",
     .scope = SCOPE_SITE,
     .effect = EFFECT_CHILD,
     .repeats = true,
     .least = 0,
     .most = MANY,
     .take = take_ah,
     .write = write_ah,
     .arguments = "[PROPOSAL...]",
     .example = "ah sha256",
     .meaning =
         "The traffic is proven by AH, the addresses too, and not hidden. AH crosses no NAT. "
         "With 'ike v1' a line 'esp' may stand beside it: then AH goes around ESP."},
    {.word = "each",
     AT_SITE(each),
     .kind = KIND_CHOICE,
     .choices = each_words,
     .effect = EFFECT_CHILD,
     .least = 1,
     .most = 1,
     .arguments = "off | host | connection",
     .standard = "off",
     .example = "each host",
     .meaning = "Traffic of each pair of hosts, or of each connection, gets keys of its own when "
                "it begins, instead of one key for all; the first packets wait for them. There is "
                "room for 32 at once: then what was idle for the longest, and for 10 seconds at "
                "least, is closed. A peer that asks for the whole networks still gets them."},
    {.word = "children",
     AT_SITE(children),
     .kind = KIND_CHOICE,
     .choices = children_words,
     .effect = EFFECT_CHILD,
     .least = 1,
     .most = 1,
     .arguments = "together | per-pair",
     .standard = "together",
     .example = "children per-pair",
     .meaning = "What several networks of a side become: one pair of SAs for all of them, or, as "
                "Cisco, Check Point and Fortinet want it, one for each pair of a network of ours "
                "and one of the peer's; at most 32 pairs."},
    {.word = "vendor-ids",
     AT_SITE(vendor_ids),
     .kind = KIND_SWITCH,
     .effect = EFFECT_NEGOTIATE,
     .least = 1,
     .most = 1,
     .arguments = "on | off",
     .standard = "on",
     .example = "vendor-ids off",
     .meaning = "Whether we say in the first message what we are, so that two Sekishos know each "
                "other. There were peers that could not bear it. To who calls it is said only in "
                "answer to the same."},
    {.word = "per-worker-sas",
     .scope = SCOPE_SITE,
     .effect = EFFECT_CHILD,
     .least = 1,
     .most = 1,
     .take = take_per_worker_sas,
     .write = write_per_worker_sas,
     .arguments = "auto | off | NUMBER",
     .standard = "auto",
     .example = "per-worker-sas 4",
     .meaning = "Where several workers send, each gets an SA of its own beside the one for all, "
                "when it sends and the peer knows of such SAs (RFC 9611); so at the peer several "
                "workers receive. 'auto': where this gateway has more than one such worker. "
                "NUMBER, at most 16: so many of ours have one, and the peer may have as many. "
                "'off': none, and the peer gets none. A peer that does not know them, or wants no "
                "more, changes nothing."},
    {.word = "df",
     AT_SITE(carriage.df),
     .kind = KIND_CHOICE,
     .choices = df_words,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .arguments = "copy | set | clear",
     .standard = "set",
     .example = "df copy",
     .meaning = "Whether routers on the way may cut the packets of the tunnel: never ('set', so "
                "that the size of the path is found), always ('clear'), or as the packet inside "
                "says (RFC 4301 8.1)."},
    {.word = "fragment",
     AT_SITE(carriage.fragment),
     .kind = KIND_CHOICE,
     .choices = fragment_words,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .arguments = "before | after",
     .standard = "before",
     .example = "fragment after",
     .meaning = "A packet that is too large and may be cut is cut before it is protected, so that "
                "the peer need not wait for its parts, or afterwards. In transport mode always "
                "afterwards."},
    {.word = "dscp",
     AT_SITE(carriage.dscp),
     .kind = KIND_CHOICE,
     .choices = dscp_words,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .arguments = "copy | clear",
     .standard = "copy",
     .example = "dscp clear",
     .meaning = "Whether the outer header has the class of service of the packet inside. 'clear' "
                "hides it, and classes do not overtake each other."},
    {.word = "tfc",
     .scope = SCOPE_SITE,
     .effect = EFFECT_NOW,
     .repeats = true,
     .least = 2,
     .most = 4,
     .take = take_tfc,
     .write = write_tfc,
     .arguments = "[pad BYTES|mtu|off] [dummy TIME|off]",
     .standard = "pad off dummy off",
     .example = "tfc pad mtu dummy 10s",
     .meaning = "Hides how large packets are, by padding them to a size, and whether there are "
                "any, by sending an empty one when there was none for a time (RFC 4303 2.6, 2.7)."},
    {.word = "iptfs",
     .scope = SCOPE_SITE,
     .effect = EFFECT_CHILD,
     .least = 1,
     .most = 5,
     .take = take_iptfs,
     .write = write_iptfs,
     .arguments = "off | rate RATE [size BYTES] [congestion-control]",
     .standard = "off",
     .example = "iptfs rate 10Mb/s",
     .meaning = "Packets of one size leave at one rate, filled with what there is (RFC 9347), if "
                "the peer can. With congestion-control the rate gives way when packets are lost."},
    {.word = "compress",
     AT_SITE(carriage.compress),
     .kind = KIND_SWITCH,
     .effect = EFFECT_CHILD,
     .least = 1,
     .most = 1,
     .arguments = "on | off",
     .standard = "off",
     .example = "compress on",
     .meaning = "Packets are compressed before they are encrypted (RFC 3173), if the peer can. "
                "Their sizes then tell something about what is in them."},
    {.word = "truncate",
     AT_SITE(carriage.truncate),
     .kind = KIND_CHOICE,
     .choices = truncate_words,
     .effect = EFFECT_CHILD,
     .least = 1,
     .most = 1,
     .arguments = "off | sha2-96",
     .standard = "off",
     .example = "truncate sha2-96",
     .meaning = "How long the check value of HMAC-SHA2-256 is: 128 bits (RFC 4868), or the 96 of "
                "Linux before 2.6.33 and of old Android, which say nothing of it: with such a peer "
                "each packet of the tunnel is dropped on both sides, as malformed or forged."},
    {.word = "mtu-probe",
     AT_SITE(mtu_probe),
     .kind = KIND_SWITCH,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .arguments = "on | off",
     .standard = "on",
     .example = "mtu-probe off",
     .meaning = "The size that the path carries is found by packets of different sizes too, where "
                "nobody on the way says that one was too large."},
    {.word = "routes",
     AT_SITE(routes),
     .kind = KIND_SWITCH,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .arguments = "on | off",
     .standard = "on",
     .example = "routes off",
     .meaning =
         "Routes to the networks of the site are set. Switch off where a routing daemon does "
         "it."},
    {.word = "disabled",
     AT_SITE(enabled),
     .kind = KIND_UNFLAG,
     .effect = EFFECT_NOW,
     .least = 0,
     .most = 1,
     .arguments = "[on|off]",
     .standard = "off",
     .example = "disabled",
     .meaning = "The site is checked and otherwise ignored. Its networks are not protected then."},

    {.word = "legacy",
     .scope = SCOPE_MANUAL,
     .effect = EFFECT_CHILD,
     .repeats = true,
     .least = 1,
     .most = LEGACY_WORDS_MAX,
     .take = take_legacy,
     .write = write_legacy,
     .arguments = "static-keys [ALGORITHM...]",
     .example = "legacy static-keys",
     .meaning = "Says that keys which nobody renews are meant; and names the weak algorithms among "
                "those of the block. 'static-keys' must be said."},
    {.word = "outer",
     .scope = SCOPE_MANUAL,
     .effect = EFFECT_CHILD,
     .least = 2,
     .most = 2,
     .take = take_outer,
     .write = write_outer,
     .arguments = "OURS PEERS",
     .example = "outer 203.0.113.1 198.51.100.9",
     .meaning = "The addresses between which the protected packets travel. Must be said."},
    {.word = "inner",
     .scope = SCOPE_MANUAL,
     .effect = EFFECT_CHILD,
     .repeats = true,
     .least = 2,
     .most = MANY,
     .take = take_inner,
     .write = write_inner,
     .arguments = "LAN NETWORK | LAN... to NETWORK...",
     .example = "inner 10.1.0.0/16 10.4.0.0/16",
     .meaning = "Networks behind us and behind the peer. Traffic between any of the first and any "
                "of the second goes through the tunnel or not at all. Must be said, but not in "
                "transport mode."},
    {.word = "mode",
     AT_MANUAL(carriage.mode),
     .kind = KIND_CHOICE,
     .choices = mode_words,
     .effect = EFFECT_CHILD,
     .least = 1,
     .most = 1,
     .arguments = "tunnel | transport",
     .standard = "tunnel",
     .example = "mode transport",
     .meaning = "'tunnel': between networks. 'transport': between the two hosts of 'outer'."},
    {.word = "only",
     .scope = SCOPE_MANUAL,
     .effect = EFFECT_CHILD,
     .least = 1,
     .most = 3,
     .take = take_only,
     .write = write_only,
     .arguments = "PROTOCOL [PORT[-PORT] [ours]]",
     .standard = "all traffic",
     .example = "only tcp 25",
     .meaning =
         "Narrows the tunnel to one protocol, or to ports of the peer's side, or with 'ours' "
         "of our side. Two mail servers have a block for each."},
    {.word = "esp",
     .scope = SCOPE_MANUAL,
     .effect = EFFECT_CHILD,
     .repeats = true,
     .least = 3,
     .most = 9,
     .take = take_static_sa,
     .write = write_static_sa,
     .arguments = "out|in spi SPI cipher CIPHER [@NAME] auth INTEGRITY @NAME",
     .example = "esp out spi 0x1001 cipher aes256 @m-ce auth sha256 @m-ae",
     .meaning = "One direction of ESP: its SPI, from 256, and its algorithms with their keys; both "
                "directions have the same algorithms and keys of their own. Keys are secrets "
                "whose text is 0x and hexadecimal digits, or base64. Ciphers that count (GCM, CCM, "
                "CTR, ChaCha20, GMAC) cannot be used with manual keys, and none without "
                "integrity, with 'cipher null' as well."},
    {.word = "ah",
     .scope = SCOPE_MANUAL,
     .effect = EFFECT_CHILD,
     .repeats = true,
     .least = 3,
     .most = 6,
     .take = take_static_sa,
     .write = write_static_sa,
     .arguments = "out|in spi SPI auth INTEGRITY @NAME",
     .example = "ah out spi 0x2001 auth sha256 @m-ah-out",
     .meaning = "One direction of AH, around ESP where that is said too."},
    {.word = "esn",
     AT_MANUAL(esn),
     .kind = KIND_FLAG,
     .effect = EFFECT_CHILD,
     .least = 0,
     .most = 1,
     .arguments = "[on|off]",
     .standard = "off",
     .example = "esn",
     .meaning = "Sequence numbers have 64 bits. Both sides must begin together."},
    {.word = "replay-window",
     .scope = SCOPE_MANUAL,
     .effect = EFFECT_CHILD,
     .least = 1,
     .most = 1,
     .take = take_replay_window,
     .write = write_replay_window,
     .arguments = "PACKETS | off",
     .standard = "off",
     .example = "replay-window 1024",
     .meaning = "How late a packet may come before it is taken for a repeated one. With manual "
                "keys numbers begin again when a side restarts, so it is off."},
    {.word = "ah-align",
     AT_MANUAL(ah_align),
     .kind = KIND_CHOICE,
     .choices = ah_align_words,
     .effect = EFFECT_CHILD,
     .least = 1,
     .most = 1,
     .arguments = "32 | 64",
     .standard = "32",
     .example = "ah-align 64",
     .meaning = "Of how many bits AH over IPv4 is a multiple when we send it: 32 by the standard "
                "(RFC 4302 2.6); 64 for a Linux kernel whose SA was made without 'flag align4'. "
                "From the peer both are taken."},
    {.word = "encapsulate",
     .scope = SCOPE_MANUAL,
     .effect = EFFECT_CHILD,
     .least = 1,
     .most = 2,
     .take = take_udp_ports,
     .write = write_udp_ports,
     .arguments = "off | PORT [PORT]",
     .standard = "off",
     .example = "encapsulate 4500",
     .meaning = "ESP travels in UDP, from our port, which is that of 'port ... nat', to the "
                "peer's."},
    {.word = "mss",
     .scope = SCOPE_MANUAL,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .take = take_mss,
     .write = write_mss,
     .arguments = "auto | off | BYTES",
     .standard = "auto",
     .example = "mss 1360",
     .meaning = "TCP connections are told to send segments that fit the tunnel."},
    {.word = "mtu",
     .scope = SCOPE_MANUAL,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .take = take_mtu,
     .write = write_mtu,
     .arguments = "auto | BYTES",
     .standard = "auto",
     .example = "mtu 1400",
     .meaning = "The largest packet that goes through the tunnel whole."},
    {.word = "df",
     AT_MANUAL(carriage.df),
     .kind = KIND_CHOICE,
     .choices = df_words,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .arguments = "copy | set | clear",
     .standard = "set",
     .example = "df copy",
     .meaning = "Whether routers on the way may cut the packets of the tunnel: never ('set', so "
                "that the size of the path is found), always ('clear'), or as the packet inside "
                "says (RFC 4301 8.1)."},
    {.word = "fragment",
     AT_MANUAL(carriage.fragment),
     .kind = KIND_CHOICE,
     .choices = fragment_words,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .arguments = "before | after",
     .standard = "before",
     .example = "fragment after",
     .meaning = "A packet that is too large and may be cut is cut before it is protected, so that "
                "the peer need not wait for its parts, or afterwards. In transport mode always "
                "afterwards."},
    {.word = "dscp",
     AT_MANUAL(carriage.dscp),
     .kind = KIND_CHOICE,
     .choices = dscp_words,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .arguments = "copy | clear",
     .standard = "copy",
     .example = "dscp clear",
     .meaning = "Whether the outer header has the class of service of the packet inside. 'clear' "
                "hides it, and classes do not overtake each other."},
    {.word = "tfc",
     .scope = SCOPE_MANUAL,
     .effect = EFFECT_NOW,
     .repeats = true,
     .least = 2,
     .most = 4,
     .take = take_tfc,
     .write = write_tfc,
     .arguments = "[pad BYTES|mtu|off] [dummy TIME|off]",
     .standard = "pad off dummy off",
     .example = "tfc pad mtu dummy 10s",
     .meaning = "Hides how large packets are, by padding them to a size, and whether there are "
                "any, by sending an empty one when there was none for a time (RFC 4303 2.6, 2.7)."},
    {.word = "iptfs",
     .scope = SCOPE_MANUAL,
     .effect = EFFECT_CHILD,
     .least = 1,
     .most = 5,
     .take = take_iptfs,
     .write = write_iptfs,
     .arguments = "off | rate RATE [size BYTES] [congestion-control]",
     .standard = "off",
     .example = "iptfs rate 10Mb/s",
     .meaning = "Packets of one size leave at one rate, filled with what there is (RFC 9347), if "
                "the peer does. With congestion-control the rate gives way when packets are lost."},
    {.word = "compress",
     AT_MANUAL(carriage.compress),
     .kind = KIND_SWITCH,
     .effect = EFFECT_CHILD,
     .least = 1,
     .most = 1,
     .arguments = "on | off",
     .standard = "off",
     .example = "compress on",
     .meaning =
         "Packets are compressed before they are encrypted (RFC 3173), which the peer must know. "
         "Their sizes then tell something about what is in them."},
    {.word = "routes",
     AT_MANUAL(routes),
     .kind = KIND_SWITCH,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .arguments = "on | off",
     .standard = "on",
     .example = "routes off",
     .meaning = "Routes to the networks behind the peer are set."},
    {.word = "disabled",
     AT_MANUAL(enabled),
     .kind = KIND_UNFLAG,
     .effect = EFFECT_NOW,
     .least = 0,
     .most = 1,
     .arguments = "[on|off]",
     .standard = "off",
     .example = "disabled",
     .meaning = "The block is checked and otherwise ignored. Its networks are not protected then."},

    {.word = "via",
     .scope = SCOPE_ACCESS,
     .effect = EFFECT_NEGOTIATE,
     .least = 1,
     .most = MANY,
     .take = take_via,
     .write = write_via,
     .arguments = "xauth [hybrid]",
     .example = "via xauth",
     .meaning = "How people come: by IKEv1 with name and password (XAUTH), as Cisco's VPN client, "
                "vpnc, FortiClient and old telephones do. With 'hybrid' this gateway proves itself "
                "by a certificate and people prove nothing but their password, so no key is shared "
                "among them."},
    {.word = "group-name",
     .scope = SCOPE_ACCESS,
     .effect = EFFECT_NEGOTIATE,
     .least = 1,
     .most = 1,
     .take = take_group_name,
     .write = write_group_name,
     .arguments = "NAME",
     .example = "group-name staff",
     .meaning = "The name that clients give for the group and its key (as a key ID, RFC 2407 "
                "4.6.2.11, or as a host name). Without it any name will do, and the key or the "
                "certificate alone says who is let in. Clients that have a group's name begin in "
                "Aggressive Mode: legacy aggressive."},
    {.word = "addresses",
     .scope = SCOPE_ACCESS,
     .effect = EFFECT_NOW,
     .repeats = true,
     .least = 1,
     .most = MANY,
     .take = take_pool,
     .write = write_pool,
     .arguments = "NETWORK | FIRST-LAST...",
     .example = "addresses 10.9.6.0/24",
     .meaning = "The addresses that people get, of IPv4, at most sixteen networks and ranges. Of a "
                "network the first and the last one are not given. A user gets the address that he "
                "had before, as long as nobody else needed it."},
    {.word = "address",
     .scope = SCOPE_ACCESS,
     .effect = EFFECT_NOW,
     .repeats = true,
     .least = 2,
     .most = 2,
     .take = take_fixed,
     .write = write_fixed,
     .arguments = "USER ADDRESS",
     .example = "address alice 10.77.0.10",
     .meaning = "This user always gets this address, which must be among 'addresses'; nobody else "
                "does."},
    {.word = "dns",
     .scope = SCOPE_ACCESS,
     .effect = EFFECT_NOW,
     .repeats = true,
     .least = 1,
     .most = MANY,
     .take = take_dns,
     .write = write_dns,
     .arguments = "ADDRESS... [DOMAIN]",
     .example = "dns 10.1.0.53 corp.example.jp",
     .meaning = "The name servers that people are told, at most four, and the domain whose names "
                "they have."},
    {.word = "wins",
     .scope = SCOPE_ACCESS,
     .effect = EFFECT_NOW,
     .repeats = true,
     .least = 1,
     .most = MANY,
     .take = take_wins,
     .write = write_wins,
     .arguments = "ADDRESS...",
     .example = "wins 10.1.0.54",
     .meaning = "The WINS servers that people are told, at most four."},
    {.word = "banner",
     .scope = SCOPE_ACCESS,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .take = take_banner,
     .write = write_banner,
     .arguments = "TEXT",
     .example = "banner \"For staff only.\"",
     .meaning = "A text that clients show when somebody has logged in."},
    {.word = "save-password",
     .scope = SCOPE_ACCESS,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .take = take_save_password,
     .write = write_save_password,
     .arguments = "on | off",
     .standard = "off",
     .example = "save-password on",
     .meaning = "Whether clients are told that they may keep the password."},
    {.word = "traffic",
     .scope = SCOPE_ACCESS,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = MANY,
     .take = take_traffic,
     .write = write_traffic,
     .arguments = "lan | everything",
     .standard = "lan",
     .example = "traffic everything",
     .meaning = "What of a person's traffic comes through the tunnel: that to the networks behind "
                "us ('lan', of which clients are told), or all of it. It holds for who comes from "
                "then on."},
    {.word = "login",
     .scope = SCOPE_ACCESS,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = MANY,
     .take = take_access_login,
     .write = write_access_login,
     .arguments = "local | radius [then local | radius]",
     .standard = "local",
     .example = "login local",
     .meaning = "Who is asked whether name and password are right. 'local': the users of this "
                "gateway (sekisho users); 'radius': the servers of the lines radius. The second is "
                "asked only where the first cannot tell."},
    {.word = "second-factor",
     .scope = SCOPE_ACCESS,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 2,
     .take = take_second_factor,
     .write = write_second_factor,
     .arguments = "off | totp [appended]",
     .standard = "off",
     .example = "second-factor totp",
     .meaning = "A one-time password (TOTP or HOTP) beside the password of a user of this gateway: "
                "it is asked for by itself, or typed behind the password, for clients that ask "
                "once."},
    {.word = "settings",
     .scope = SCOPE_ACCESS,
     .effect = EFFECT_NEGOTIATE,
     .least = 1,
     .most = 1,
     .take = take_settings,
     .write = write_settings,
     .arguments = "asked | pushed",
     .standard = "asked",
     .example = "settings pushed",
     .meaning = "Whether a client asks for its address and the rest, as nearly all do, or waits "
                "until they are pushed to it."},
    {.word = "max-sessions",
     .scope = SCOPE_ACCESS,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 2,
     .take = take_max_sessions,
     .write = write_max_sessions,
     .arguments = "NUMBER | off [oldest-goes | refuse]",
     .standard = "1 oldest-goes",
     .example = "max-sessions 2 refuse",
     .meaning = "How many sessions one user may have at a time. One more: his oldest one ends, and "
                "the new one gets its address; so somebody whose line broke comes in again at "
                "once, from wherever he is. With 'refuse' the new one is refused."},
    {.word = "idle-timeout",
     .scope = SCOPE_ACCESS,
     .effect = EFFECT_NOW,
     .least = 1,
     .most = 1,
     .take = take_idle_timeout,
     .write = write_idle_timeout,
     .arguments = "TIME | off",
     .standard = "off",
     .example = "idle-timeout 8h",
     .meaning = "A session ends when nothing was sent and nothing came for so long, at least a "
                "minute."},
};

_Static_assert(ARRAY_LENGTH(schema) <= SCHEMA_WORDS_MAX, "the notes of what was said are too few");

/* Words of the language that this version does not have yet. */
static const struct {
    enum schema_scope scope;
    const char *word;
    const char *advice;
} later[] = {
    {SCOPE_GATEWAY, "cluster", NULL},
    {SCOPE_GATEWAY, "web", "sekisho status shows what there is to see"},
    {SCOPE_GATEWAY, "metrics", "sekisho status --json gives the figures"},
    {SCOPE_GATEWAY, "group", NULL},
    {SCOPE_GATEWAY, "placement", NULL},
    {SCOPE_GATEWAY, "certificate", "it stands in a site"},
    {SCOPE_GATEWAY, "revocation", NULL},
    {SCOPE_GATEWAY, "trust", NULL},
    {SCOPE_GATEWAY, "workers", NULL},
    {SCOPE_SITE, "device", "all sites share the device of the gateway"},
    {SCOPE_SITE, "cipher", "ciphers stand in the proposals: esp aes256gcm16"},
    {SCOPE_SITE, "second-key", NULL},
    {SCOPE_ACCESS, "access-list", NULL},
};

/* What other products call it. */
static const struct {
    enum schema_scope scope;
    const char *foreign;
    const char *word;
} synonyms[] = {
    {SCOPE_GATEWAY, "connection", "site"},
    {SCOPE_GATEWAY, "conn", "site"},
    {SCOPE_GATEWAY, "tunnel", "site"},
    {SCOPE_GATEWAY, "name", "gateway"},
    {SCOPE_GATEWAY, "hostname", "gateway"},
    {SCOPE_GATEWAY, "subnet", "lan"},
    {SCOPE_GATEWAY, "network", "lan"},
    {SCOPE_GATEWAY, "interface", "device"},
    {SCOPE_SITE, "remote", "peer"},
    {SCOPE_SITE, "right", "peer"},
    {SCOPE_SITE, "endpoint", "peer"},
    {SCOPE_SITE, "host", "peer"},
    {SCOPE_SITE, "gateway", "peer"},
    {SCOPE_SITE, "subnet", "network"},
    {SCOPE_SITE, "rightsubnet", "network"},
    {SCOPE_SITE, "remote_ts", "network"},
    {SCOPE_SITE, "allowed-ips", "network"},
    {SCOPE_SITE, "local_ts", "lan"},
    {SCOPE_SITE, "leftsubnet", "lan"},
    {SCOPE_SITE, "psk", "key"},
    {SCOPE_SITE, "secret", "key"},
    {SCOPE_SITE, "password", "key"},
    {SCOPE_SITE, "pre-shared-key", "key"},
    {SCOPE_SITE, "shared-key", "key"},
    {SCOPE_SITE, "passphrase", "key"},
    {SCOPE_SITE, "preshared-key", "key"},
    {SCOPE_SITE, "vendor", "like"},
    {SCOPE_SITE, "preset", "like"},
    {SCOPE_SITE, "id", "identity"},
    {SCOPE_SITE, "rightid", "identity"},
    {SCOPE_SITE, "leftid", "say"},
    {SCOPE_SITE, "proposals", "ike"},
    {SCOPE_SITE, "phase1", "ike"},
    {SCOPE_SITE, "phase2", "esp"},
    {SCOPE_SITE, "esp_proposals", "esp"},
    {SCOPE_SITE, "auto", "start"},
    {SCOPE_SITE, "encap", "encapsulate"},
    {SCOPE_SITE, "forceencaps", "encapsulate"},
    {SCOPE_SITE, "keepalive", "dpd"},
    {SCOPE_SITE, "reauth", "reauthenticate"},
    {SCOPE_SITE, "reauth_time", "reauthenticate"},
    {SCOPE_SITE, "protocol", "only"},
    {SCOPE_SITE, "replay_window", "replay-window"},
    {SCOPE_SITE, "type", "mode"},
    {SCOPE_SITE, "transport", "mode"},
    {SCOPE_SITE, "ipcomp", "compress"},
    {SCOPE_SITE, "compression", "compress"},
    {SCOPE_SITE, "sha2-truncbug", "truncate"},
    {SCOPE_SITE, "sha2_truncbug", "truncate"},
    {SCOPE_SITE, "tos", "dscp"},
    {SCOPE_SITE, "copy_dscp", "dscp"},
    {SCOPE_SITE, "copy_df", "df"},
    {SCOPE_SITE, "tfc_padding", "tfc"},
    {SCOPE_GATEWAY, "pass", "bypass"},
    {SCOPE_GATEWAY, "allow", "bypass"},
    {SCOPE_GATEWAY, "drop", "discard"},
    {SCOPE_GATEWAY, "block", "discard"},
    {SCOPE_GATEWAY, "deny", "discard"},
    {SCOPE_ACCESS, "pool", "addresses"},
    {SCOPE_ACCESS, "rightsourceip", "addresses"},
    {SCOPE_ACCESS, "range", "addresses"},
    {SCOPE_ACCESS, "psk", "key"},
    {SCOPE_ACCESS, "group-key", "key"},
    {SCOPE_ACCESS, "pre-shared-key", "key"},
    {SCOPE_ACCESS, "group", "group-name"},
    {SCOPE_ACCESS, "groupname", "group-name"},
    {SCOPE_ACCESS, "identity", "group-name"},
    {SCOPE_ACCESS, "nameserver", "dns"},
    {SCOPE_ACCESS, "nbns", "wins"},
    {SCOPE_ACCESS, "split-tunnel", "traffic"},
    {SCOPE_ACCESS, "auth", "login"},
    {SCOPE_ACCESS, "radius", "login"},
    {SCOPE_MANUAL, "peer", "outer"},
    {SCOPE_MANUAL, "addresses", "outer"},
    {SCOPE_MANUAL, "network", "inner"},
    {SCOPE_MANUAL, "lan", "inner"},
    {SCOPE_MANUAL, "networks", "inner"},
    {SCOPE_MANUAL, "encap", "encapsulate"},
    {SCOPE_MANUAL, "protocol", "only"},
    {SCOPE_MANUAL, "ipcomp", "compress"},
    {SCOPE_MANUAL, "spi", "esp"},
    {SCOPE_MANUAL, "cipher", "esp"},
    {SCOPE_MANUAL, "auth", "esp"},
    {SCOPE_MANUAL, "key", "esp"},
};

static const char *const scope_names[SCHEMA_SCOPES] = {[SCOPE_GATEWAY] = "",
                                                       [SCOPE_SITE] = " in site",
                                                       [SCOPE_MANUAL] = " in manual",
                                                       [SCOPE_ACCESS] = " in remote-access"};
/* "'peer' does not stand ...", and where each belongs. */
static const char *const scope_places[SCHEMA_SCOPES] = {
    [SCOPE_GATEWAY] = "outside of a block",
    [SCOPE_SITE] = "in a site",
    [SCOPE_MANUAL] = "in a manual block",
    [SCOPE_ACCESS] = "in a remote-access block",
};
static const char *const scope_homes[SCHEMA_SCOPES] = {
    [SCOPE_GATEWAY] = "it belongs outside of all blocks",
    [SCOPE_SITE] = "it belongs in a block: site NAME { ... }",
    [SCOPE_MANUAL] = "it belongs in a block: manual NAME { ... }",
    [SCOPE_ACCESS] = "it belongs in a block: remote-access NAME { ... }",
};

const struct schema_word *schema_at(size_t index)
{
    return index < ARRAY_LENGTH(schema) ? &schema[index] : NULL;
}

size_t schema_index(const struct schema_word *w)
{
    return (size_t)(w - schema);
}

bool schema_stands(const struct schema_word *w, enum schema_scope scope)
{
    return w->scope == scope ||
           (scope == SCOPE_ACCESS && w->scope == SCOPE_SITE && access_has_word(w->word));
}

const struct schema_word *schema_find(enum schema_scope scope, struct slice word)
{
    for (size_t i = 0; i < ARRAY_LENGTH(schema); i++) {
        if (schema_stands(&schema[i], scope) && slice_equal_text(word, schema[i].word)) {
            return &schema[i];
        }
    }
    return NULL;
}

void schema_set_defaults_of_gateway(struct config *config)
{
    config->port = DEFAULT_PORT;
    config->nat_port = DEFAULT_NAT_PORT;
    config->device = DEFAULT_DEVICE;
    config->cookie_threshold = 30;
    config->half_open_max = 10000;
}

void schema_set_defaults_of_manual(struct config_manual *manual)
{
    manual->only_port_last = UINT16_MAX;
    manual->routes = true;
    manual->enabled = true;
}

void schema_set_defaults_of_site(struct config_site *site)
{
    site->only_port_last = UINT16_MAX;
    site->ike_lifetime_ms = DEFAULT_IKE_LIFETIME_MS;
    site->child_lifetime_ms = DEFAULT_CHILD_LIFETIME_MS;
    site->dpd_ms = DEFAULT_DPD_MS;
    site->return_s = DEFAULT_RETURN_S;
    site->resolve_s = DEFAULT_RESOLVE_S;
    site->tcp_port = DEFAULT_NAT_PORT;
    site->replay_window = DEFAULT_REPLAY_WINDOW;
    site->fragmentation = true;
    site->fragment_bytes = DEFAULT_FRAGMENT_BYTES;
    site->mtu_probe = true;
    site->vendor_ids = true;
    site->mobike = true;
    site->routes = true;
    site->enabled = true;
}

/* ---- unknown words ---- */

static bool complain_later(struct reading *r, enum schema_scope scope, const struct word *w)
{
    for (size_t i = 0; i < ARRAY_LENGTH(later); i++) {
        if (later[i].scope == scope && slice_equal_text(w->text, later[i].word)) {
            COMPLAIN(r, w->place, later[i].advice, "'%s' is not in this version of Sekisho",
                     later[i].word);
            return true;
        }
    }
    return false;
}

static const char *find_synonym(enum schema_scope scope, struct slice word)
{
    for (size_t i = 0; i < ARRAY_LENGTH(synonyms); i++) {
        if (synonyms[i].scope == scope && slice_equal_text(word, synonyms[i].foreign)) {
            return synonyms[i].word;
        }
    }
    return NULL;
}

static const char *find_nearest(enum schema_scope scope, struct slice word)
{
    const char *words[ARRAY_LENGTH(schema) + ARRAY_LENGTH(later)];
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_LENGTH(schema); i++) {
        if (schema_stands(&schema[i], scope)) {
            words[count++] = schema[i].word;
        }
    }
    size_t nearest = value_nearest(word, words, count);

    return nearest < count ? words[nearest] : NULL;
}

/* The scope that has this word, or SCHEMA_SCOPES. */
static size_t find_home(struct slice word)
{
    static const enum schema_scope order[] = {SCOPE_SITE, SCOPE_GATEWAY, SCOPE_MANUAL,
                                              SCOPE_ACCESS};

    for (size_t i = 0; i < ARRAY_LENGTH(order); i++) {
        if (schema_find(order[i], word) != NULL) {
            return (size_t)order[i];
        }
    }
    return SCHEMA_SCOPES;
}

void schema_complain_unknown(struct reading *r, enum schema_scope scope, const struct word *w)
{
    char shown[VALUE_SHOWN_BYTES + 4];
    char advice[160] = "";

    if (!w->quoted && complain_later(r, scope, w)) {
        return;
    }
    const char *meant = find_synonym(scope, w->text);
    size_t home = find_home(w->text);

    /* What is counted and not told needs no advice: a large file of nonsense ends soon. */
    if (meant == NULL && r->diagnoses.count < DIAGNOSTICS_MAX) {
        meant = find_nearest(scope, w->text);
    }
    value_shown(w->text, shown);
    if (meant != NULL) {
        snprintf(advice, sizeof(advice), "did you mean '%s' ?", meant);
        if (strcmp(meant, "key") == 0) {
            char message[160];
            snprintf(message, sizeof(message), "unknown word '%s'%s", shown, scope_names[scope]);
            diagnose_hidden(&r->diagnoses, w->place, w->place.column + w->place.length + 1,
                            "did you mean 'key' ? It is followed by @NAME", message);
            return;
        }
    } else if (home != SCHEMA_SCOPES) {
        COMPLAIN(r, w->place, scope_homes[home], "'%s' does not stand %s", shown,
                 scope_places[scope]);
        return;
    } else {
        snprintf(advice, sizeof(advice), "sekisho help shows the words");
    }
    COMPLAIN(r, w->place, advice, "unknown word '%s'%s", shown, scope_names[scope]);
}

/* ---- reading ---- */

static void *value_at(struct reading *r, const struct schema_word *w)
{
    char *const bases[SCHEMA_SCOPES] = {
        [SCOPE_GATEWAY] = (char *)r->config,
        [SCOPE_SITE] = (char *)&r->site,
        [SCOPE_MANUAL] = (char *)&r->manual,
        [SCOPE_ACCESS] = (char *)&r->access,
    };

    return bases[w->scope] + w->offset;
}

static void take_choice(struct reading *r, const struct schema_word *w, const struct word *word)
{
    char shown[VALUE_SHOWN_BYTES + 4];
    char advice[sizeof(((struct complaint *)0)->advice)] = "one of:";
    size_t count = 0;

    for (; w->choices[count] != NULL; count++) {
        if (!word->quoted && slice_equal_text(word->text, w->choices[count])) {
            unsigned chosen = (unsigned)count;
            memcpy(value_at(r, w), &chosen, sizeof(chosen));
            return;
        }
        size_t used = strlen(advice);
        snprintf(advice + used, sizeof(advice) - used, " %s", w->choices[count]);
    }
    if (w->choices == on_off || w->choices == pfs_words || w->choices == verify_words) {
        struct complaint c;
        bool value;
        if (!value_switch(word->text, &value, &c) && c.advice[0] != '\0') {
            snprintf(advice, sizeof(advice), "%s", c.advice);
        }
    }
    size_t nearest = value_nearest(word->text, w->choices, count);

    if (nearest < count) {
        snprintf(advice, sizeof(advice), "did you mean '%s' ?", w->choices[nearest]);
    }
    COMPLAIN(r, word->place, advice, "'%s' is nothing that %s can be",
             value_shown(word->text, shown), w->word);
}

static void take_simple(struct reading *r, const struct schema_word *w, const struct statement *s)
{
    struct complaint c = {0};
    const struct word *word = s->count > 1 ? &s->words[1] : NULL;
    bool *flag = value_at(r, w);
    uint64_t number;
    bool on = true;

    switch (w->kind) {
    case KIND_SWITCH:
    case KIND_FLAG:
    case KIND_UNFLAG:
        if (word != NULL && !value_switch(word->text, &on, &c)) {
            COMPLAIN(r, word->place, c.advice, "%s", c.why);
            return;
        }
        *flag = w->kind == KIND_UNFLAG ? !on : on;
        return;
    case KIND_NUMBER:
        if (!value_number(word->text, w->least_value, w->most_value, &number, &c)) {
            COMPLAIN(r, word->place, c.advice, "%s", c.why);
            return;
        }
        uint32_t value = (uint32_t)number;
        memcpy(value_at(r, w), &value, sizeof(value));
        return;
    case KIND_CHOICE:
        take_choice(r, w, word);
        return;
    case KIND_CUSTOM:
        break;
    }
    assert(w->take != NULL);
    w->take(r, s);
}

void schema_take(struct reading *r, const struct schema_word *w, const struct statement *s)
{
    struct config_place *said = &r->said[w->scope][schema_index(w)];
    const struct word *first = &s->words[0];
    char advice[160];

    if (!w->block && s->opens) {
        COMPLAIN(r, s->brace, NULL, "'%s' has no block", w->word);
        return;
    }
    if (w->block && !s->opens) {
        snprintf(advice, sizeof(advice), "such as: %s ... }", w->example);
        COMPLAIN(r, first->place, advice, "'%s' needs a block in braces", w->word);
        return;
    }
    if (!w->repeats && said->line != 0) {
        COMPLAIN(r, first->place, NULL, "'%s' is said twice, first on line %u", w->word,
                 (unsigned)said->line);
        return;
    }
    if (said->line == 0) {
        *said = first->place;
    }
    if (s->count - 1 < w->least) {
        snprintf(advice, sizeof(advice), "such as: %s%s", w->example, w->block ? " ... }" : "");
        COMPLAIN(r, first->place, advice, "'%s' needs %s behind it", w->word, w->arguments);
        return;
    }
    if (s->count - 1 > w->most) {
        COMPLAIN(r, s->words[w->most + 1].place, "a statement ends with its line or with ';'",
                 "'%s' takes no more words than this", w->word);
        return;
    }
    take_simple(r, w, s);
}

/* ---- writing ---- */

static bool needs_quotes(const char *text)
{
    if (text[0] == '\0' || text[0] == '#' || text[0] == '$' || strcmp(text, "any") == 0 ||
        strcmp(text, "auto") == 0) {
        return true;
    }
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (strchr(" \t;{}\"\\", text[i]) != NULL) {
            return true;
        }
    }
    return false;
}

void sheet_add_word(struct sheet *out, const char *text)
{
    if (!needs_quotes(text)) {
        sheet_add(out, text);
        return;
    }
    sheet_add(out, "\"");
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (text[i] == '"' || text[i] == '\\') {
            sheet_add(out, "\\");
        }
        sheet_add_slice(out, (struct slice){(const uint8_t *)text + i, 1});
    }
    sheet_add(out, "\"");
}

void shown_line(const struct shown *shown, const char *word, const char *format, ...)
{
    char arguments[512];
    va_list list;

    va_start(list, format);
    int length = vsnprintf(arguments, sizeof(arguments), format, list);

    va_end(list);
    assert(length >= 0 && (size_t)length < sizeof(arguments));
    sheet_add(shown->out, word);
    sheet_add(shown->out, length > 0 ? " " : "");
    sheet_add(shown->out, arguments);
    sheet_add(shown->out, "\n");
}

static bool is_standard(const struct schema_word *w, const char *text)
{
    return w->standard != NULL && strcmp(w->standard, text) == 0;
}

/* Whether a choice is what it would be without the word. */
static bool is_usual(const struct schema_word *w, const struct shown *shown, const char *text)
{
    const struct config_site *site = shown->site;

    if (w->choices == start_words) {
        /* It depends on the peer. */
        bool any = site->peer_count > 0 && site->peers[0].any;
        return site->start == (any ? START_WAIT : START_NOW);
    }
    if (w->choices == fragment_words) {
        const struct config_carriage *c = site != NULL ? &site->carriage : &shown->manual->carriage;
        return c->mode == CONFIG_TRANSPORT || c->fragment == CONFIG_FRAGMENT_BEFORE;
    }
    return is_standard(w, text);
}

void schema_write(const struct schema_word *w, const struct shown *shown)
{
    const char *const bases[SCHEMA_SCOPES] = {
        [SCOPE_GATEWAY] = (const char *)shown->config,
        [SCOPE_SITE] = (const char *)shown->site,
        [SCOPE_MANUAL] = (const char *)shown->manual,
        [SCOPE_ACCESS] = NULL, /* all are of their own kind */
    };
    const char *at = w->kind == KIND_CUSTOM ? NULL : bases[w->scope] + w->offset;
    char number_text[16];
    const char *text = "";
    bool flag;
    uint32_t number;

    if (w->kind == KIND_CUSTOM) {
        w->write(w, shown);
        return;
    }
    if (w->kind == KIND_NUMBER || w->kind == KIND_CHOICE) {
        memcpy(&number, at, sizeof(number));
        snprintf(number_text, sizeof(number_text), "%u", (unsigned)number);
        text = w->kind == KIND_CHOICE ? w->choices[number] : number_text;
    } else {
        memcpy(&flag, at, sizeof(flag));
        text = flag != (w->kind == KIND_UNFLAG) ? "on" : "off";
    }
    if (shown->mode != SHOW_SAID || !is_usual(w, shown, text)) {
        shown_line(shown, w->word, "%s", text);
    }
}
