/* Decides what the words about TCP mean (RFC 9329): where peers may call, and how one is called. */
#include "base/text.h"
#include "config/schema.h"

static const char *const transports[] = {"udp", "auto", "tcp"};

static bool take_one_port(struct reading *r, const struct word *word, uint16_t *out)
{
    uint64_t port;
    struct complaint c;

    if (!value_number(word->text, 1, UINT16_MAX, &port, &c)) {
        COMPLAIN(r, word->place, c.advice, "%s", c.why);
        return false;
    }
    *out = (uint16_t)port;
    return true;
}

static void add_port(struct reading *r, const struct word *word)
{
    struct config *config = r->config;
    uint16_t port;

    if (!take_one_port(r, word, &port)) {
        return;
    }
    for (size_t i = 0; i < config->tcp_port_count; i++) {
        if (config->tcp_ports[i] == port) {
            COMPLAIN(r, word->place, NULL, "this port is said twice");
            return;
        }
    }
    config->tcp_ports[config->tcp_port_count++] = port;
}

void take_tcp_port(struct reading *r, const struct statement *s)
{
    if (is_word(&s->words[1], "off")) {
        if (s->count > 2) {
            COMPLAIN(r, s->words[2].place, NULL, "'off' stands alone");
        }
        return;
    }
    for (size_t i = 1; i < s->count; i++) {
        add_port(r, &s->words[i]);
    }
}

void write_tcp_port(const struct schema_word *w, const struct shown *shown)
{
    const struct config *config = shown->config;
    char text[8 * CONFIG_TCP_PORTS_MAX] = "";
    struct text ports = text_over(text, sizeof(text));

    for (size_t i = 0; i < config->tcp_port_count; i++) {
        text_addf(&ports, "%s%u", i > 0 ? " " : "", (unsigned)config->tcp_ports[i]);
    }
    if (config->tcp_port_count > 0) {
        shown_line(shown, w->word, "%s", text);
    } else if (shown->mode != SHOW_SAID) {
        shown_line(shown, w->word, "off");
    }
}

void take_transport(struct reading *r, const struct statement *s)
{
    struct config_site *site = &r->site;
    size_t which = 0;

    while (which < ARRAY_LENGTH(transports) && !is_word(&s->words[1], transports[which])) {
        which++;
    }
    if (which == ARRAY_LENGTH(transports)) {
        COMPLAIN(r, s->words[1].place, "such as: transport auto",
                 "'udp', 'tcp' or 'auto' is expected here");
        return;
    }
    site->transport = (uint8_t)which;
    if (s->count > 2 && site->transport == TRANSPORT_UDP) {
        COMPLAIN(r, s->words[2].place, "the port of UDP stands with the peer: peer HOST port PORT",
                 "a port stands with 'tcp' and 'auto' only");
    } else if (s->count > 2) {
        (void)take_one_port(r, &s->words[2], &site->tcp_port);
    }
}

void write_transport(const struct schema_word *w, const struct shown *shown)
{
    const struct config_site *site = shown->site;

    if (site->transport == TRANSPORT_UDP) {
        if (shown->mode != SHOW_SAID) {
            shown_line(shown, w->word, "udp");
        }
    } else if (shown->mode == SHOW_SAID && site->tcp_port == DEFAULT_NAT_PORT) {
        shown_line(shown, w->word, "%s", transports[site->transport]);
    } else {
        shown_line(shown, w->word, "%s %u", transports[site->transport], (unsigned)site->tcp_port);
    }
}

void check_tcp(struct reading *r)
{
    const struct config_site *site = &r->site;

    if (site->transport == TRANSPORT_UDP) {
        return;
    }
    /* RFC 9329 3: there is no AH in a connection. */
    if (site->protection != CONFIG_ESP) {
        COMPLAIN(r, said_at(r, "transport"), "leave out 'ah' or 'transport'",
                 "AH cannot travel over TCP: it has no way to be told apart there");
    }
    if (site->carriage.mode == CONFIG_TRANSPORT) {
        COMPLAIN(r, said_at(r, "transport"), "leave it out, or write: mode tunnel",
                 "transport mode protects what goes between the two hosts, and the connection "
                 "itself goes there");
    }
    if (site->encapsulate == ENCAPSULATE_NEVER) {
        COMPLAIN(r, said_at(r, "transport"), "leave out 'encapsulate' or 'transport'",
                 "what goes over TCP is encapsulated, and 'encapsulate never' forbids it");
    }
    if (site->peer_count > 0 && r->peers[0].any) {
        COMPLAIN(r, said_at(r, "transport"),
                 "leave it out; who may call by TCP is said once, outside of sites: tcp-port 4500",
                 "'peer any' is never called, so there is nothing to choose");
    }
}
