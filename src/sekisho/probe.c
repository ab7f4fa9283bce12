/*
 * `check --site NAME --probe`: what a configured peer accepts of IKE, found by asking: one
 * IKE_SA_INIT (RFC 7296 1.2) after the other, at most one a second and at most PROBES_MAX of them,
 * from a port of our own, so that a daemon is not disturbed. What comes after it, where both would
 * have to prove who they are, is never begun: the peer forgets such a beginning by itself.
 */
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "config/config.h"
#include "crypto/key_exchange.h"
#include "host/entropy.h"
#include "loader/loader.h"
#include "proto/ike/persona.h"
#include "sekisho/command.h"
#include "wire/ikev2.h"

#define PROBES_MAX 30
#define PROBE_EVERY_MS 1000
#define ANSWER_MS 900 /* then it is asked again, once */
#define MESSAGE_BYTES 8192
#define NEXT_PAYLOAD_OFFSET 16
#define IKE_PORT_TEXT "500"
#define WORD_BYTES 32

enum answer { ANSWER_NONE, ANSWER_ACCEPTED, ANSWER_REFUSED, ANSWER_OTHER_GROUP, ANSWER_ERROR };

struct kind {
    const char *name;
    const char *words[12];
    bool accepted[12];
};

struct probe {
    const struct command *command;
    const struct config_site *site;
    struct random_source random;
    int fd;
    unsigned sent;
    uint64_t last_ms;
    enum persona persona;
    /* The last answer. */
    enum answer answer;
    uint16_t notify, group; /* wanted */
    struct transform chosen[8];
    size_t chosen_count;
    struct kind ciphers, hashes, groups;
};

static uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- one question ---- */

static void add(struct ikev2_sa_payload *sa, uint8_t type, const char *word)
{
    struct transform t;

    if (transform_by_word(type, slice_of_text(word), &t)) {
        sa->transforms[sa->transform_count++] =
            (struct ikev2_wire_transform){.type = t.type, .id = t.id, .key_bits = t.key_bits};
        sa->proposals[sa->proposal_count - 1].count++;
    }
}

static bool is_aead(const char *cipher)
{
    struct transform t;
    const struct algorithm *a;

    return transform_by_word(TRANSFORM_ENCRYPTION, slice_of_text(cipher), &t) &&
           (a = algorithm_find(t.type, t.id)) != NULL && a->aead;
}

/* One proposal: NULL for all of a kind. */
static void make_offer(const struct probe *p, const char *cipher, const char *hash,
                       const char *group, struct ikev2_sa_payload *sa)
{
    memset(sa, 0, sizeof(*sa));
    sa->proposals[0] = (struct ikev2_wire_proposal){.number = 1, .protocol = PROTOCOL_IKE};
    sa->proposal_count = 1;
    add(sa, TRANSFORM_ENCRYPTION, cipher);
    for (size_t i = 0; p->hashes.words[i] != NULL; i++) {
        if (hash != NULL && strcmp(hash, p->hashes.words[i]) != 0) {
            continue;
        }
        if (!is_aead(cipher)) {
            add(sa, TRANSFORM_INTEGRITY, p->hashes.words[i]);
        }
        add(sa, TRANSFORM_PRF, p->hashes.words[i]);
    }
    for (size_t i = 0; p->groups.words[i] != NULL; i++) {
        if (group == NULL || strcmp(group, p->groups.words[i]) == 0) {
            add(sa, TRANSFORM_KEY_EXCHANGE, p->groups.words[i]);
        }
    }
}

/* False when the key exchange library cannot. */
static bool write_question(struct probe *p, const struct ikev2_sa_payload *sa, uint16_t group,
                           struct slice cookie, uint8_t out[MESSAGE_BYTES], size_t *length)
{
    struct writer w = writer_over(out, MESSAGE_BYTES);
    struct ikev2_header header = {
        .version = 0x20, .exchange = IKEV2_IKE_SA_INIT, .flags = IKEV2_FLAG_INITIATOR};
    struct key_pair pair = {0};
    uint8_t spi[8];
    uint8_t nonce[32];

    random_fill(&p->random, spi, sizeof(spi));
    random_fill(&p->random, nonce, sizeof(nonce));
    memcpy(&header.spi_i, spi, sizeof(spi));
    if (!key_pair_make(group, &p->random, &pair)) {
        return false;
    }
    ikev2_write_header(&w, &header);
    struct ikev2_chain chain = ikev2_chain_over(&w, &out[NEXT_PAYLOAD_OFFSET]);

    if (cookie.length > 0) {
        struct ikev2_notify_payload n = {.type = IKEV2_COOKIE, .data = cookie};

        ikev2_begin_payload(&chain, IKEV2_NOTIFY, false);
        ikev2_write_notify(&w, &n);
        ikev2_end_payload(&chain);
    }
    struct ikev2_ke_payload ke = {group, {pair.public_value, pair.public_length}};

    ikev2_begin_payload(&chain, IKEV2_SA, false);
    ikev2_write_sa(&w, sa);
    ikev2_end_payload(&chain);
    ikev2_begin_payload(&chain, IKEV2_KE, false);
    ikev2_write_ke(&w, &ke);
    ikev2_end_payload(&chain);
    ikev2_write_payload(&chain, IKEV2_NONCE, SLICE_OF(nonce));
    ikev2_finish_message(&w);
    key_pair_wipe(&pair);
    *length = writer_written(&w).length;
    return writer_ok(&w);
}

static void read_chosen(struct probe *p, struct slice body)
{
    struct ikev2_sa_payload sa;

    if (!ikev2_read_sa(body, &sa) || sa.proposal_count != 1) {
        return;
    }
    p->answer = ANSWER_ACCEPTED;
    for (size_t i = 0; i < sa.transform_count && i < ARRAY_LENGTH(p->chosen); i++) {
        p->chosen[p->chosen_count++] = (struct transform){
            sa.transforms[i].type, sa.transforms[i].id, sa.transforms[i].key_bits};
    }
}

static void read_notify(struct probe *p, const struct ikev2_notify_payload *n, struct slice *cookie,
                        uint8_t cookie_bytes[64])
{
    if (n->type == IKEV2_COOKIE && n->data.length > 0 && n->data.length <= 64) {
        memcpy(cookie_bytes, n->data.data, n->data.length);
        *cookie = (struct slice){cookie_bytes, n->data.length};
    } else if (n->type == IKEV2_INVALID_KE_PAYLOAD && n->data.length == 2) {
        p->answer = ANSWER_OTHER_GROUP;
        p->group = (uint16_t)(n->data.data[0] << 8 | n->data.data[1]);
    } else if (n->type == IKEV2_NO_PROPOSAL_CHOSEN) {
        p->answer = ANSWER_REFUSED;
    } else if (n->type < 16384) { /* RFC 7296 3.10.1: an error */
        p->answer = ANSWER_ERROR;
        p->notify = n->type;
    }
}

/* An answer to the question that begins so; what else comes is not looked at. */
static bool read_answer(struct probe *p, struct slice message, const uint8_t *question,
                        struct slice *cookie, uint8_t cookie_bytes[64])
{
    struct reader r = reader_over(message);
    struct ikev2_header header;
    struct ikev2_payload payload;
    bool said;

    if (message.length < 28 || memcmp(message.data, question, 8) != 0 ||
        !ikev2_read_header(&r, &header) || (header.flags & IKEV2_FLAG_RESPONSE) == 0) {
        return false;
    }
    enum persona persona = persona_of(
        header.next_payload, (struct slice){message.data + 28, message.length - 28}, false, &said);

    p->persona = persona != PERSONA_UNKNOWN ? persona : p->persona;
    uint8_t next = header.next_payload;

    while (next != IKEV2_NO_NEXT_PAYLOAD && ikev2_read_payload(&r, &next, &payload)) {
        struct ikev2_notify_payload n;

        if (payload.type == IKEV2_SA) {
            read_chosen(p, payload.body);
        } else if (payload.type == IKEV2_NOTIFY && ikev2_read_notify(payload.body, &n)) {
            read_notify(p, &n, cookie, cookie_bytes);
        }
    }
    return true;
}

static void wait_ms(uint64_t ms)
{
    struct timespec pause = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

    nanosleep(&pause, NULL);
}

/* Sends once and waits; false: nothing came. */
static bool ask_once(struct probe *p, const uint8_t *question, size_t length, struct slice *cookie,
                     uint8_t cookie_bytes[64])
{
    uint64_t now_ms = clock_ms();

    if (p->sent > 0 && now_ms < p->last_ms + PROBE_EVERY_MS) {
        wait_ms(p->last_ms + PROBE_EVERY_MS - now_ms);
    }
    p->sent++;
    p->last_ms = clock_ms();
    if (send(p->fd, question, length, 0) < 0) {
        return false;
    }
    for (uint64_t end_ms = p->last_ms + ANSWER_MS; (now_ms = clock_ms()) < end_ms;) {
        struct pollfd waits = {.fd = p->fd, .events = POLLIN};
        uint8_t bytes[MESSAGE_BYTES];

        if (poll(&waits, 1, (int)(end_ms - now_ms)) <= 0) {
            break;
        }
        ssize_t got = recv(p->fd, bytes, sizeof(bytes), 0);

        if (got > 0 &&
            read_answer(p, (struct slice){bytes, (size_t)got}, question, cookie, cookie_bytes)) {
            return true;
        }
        if (got < 0) {
            break; /* ICMP says that nobody is there */
        }
    }
    return false;
}

static void ask(struct probe *p, const char *cipher, const char *hash, const char *group,
                uint16_t ke_group)
{
    struct ikev2_sa_payload sa;
    struct slice cookie = {NULL, 0};
    uint8_t cookie_bytes[64];
    uint8_t question[MESSAGE_BYTES];
    size_t length;

    make_offer(p, cipher, hash, group, &sa);
    for (unsigned tries = 0; tries < 3 && p->sent < PROBES_MAX; tries++) {
        size_t had = cookie.length;

        p->answer = ANSWER_NONE;
        p->chosen_count = 0;
        if (!write_question(p, &sa, ke_group, cookie, question, &length)) {
            return;
        }
        (void)ask_once(p, question, length, &cookie, cookie_bytes);
        /* Asked for a cookie, or not heard: once more. */
        if (p->answer != ANSWER_NONE || (tries > 0 && cookie.length == had)) {
            return;
        }
    }
}

/* ---- the walk ---- */

static uint16_t group_of(const char *word)
{
    struct transform t;

    return transform_by_word(TRANSFORM_KEY_EXCHANGE, slice_of_text(word), &t) ? t.id : 0;
}

static void mark(struct kind *kind, uint8_t type, uint16_t id, uint16_t key_bits)
{
    for (size_t i = 0; kind->words[i] != NULL; i++) {
        struct transform t;

        if (transform_by_word(type, slice_of_text(kind->words[i]), &t) && t.id == id &&
            t.key_bits == key_bits) {
            kind->accepted[i] = true;
        }
    }
}

static void learn(struct probe *p, const char *cipher)
{
    for (size_t i = 0; cipher != NULL && i < ARRAY_LENGTH(p->ciphers.words); i++) {
        if (p->ciphers.words[i] != NULL && strcmp(p->ciphers.words[i], cipher) == 0) {
            p->ciphers.accepted[i] = true;
        }
    }
    if (p->answer == ANSWER_OTHER_GROUP) {
        mark(&p->groups, TRANSFORM_KEY_EXCHANGE, p->group, 0);
    }
    for (size_t i = 0; i < p->chosen_count; i++) {
        const struct transform *t = &p->chosen[i];

        if (t->type == TRANSFORM_KEY_EXCHANGE) {
            mark(&p->groups, t->type, t->id, 0);
        } else if (t->type == TRANSFORM_PRF) {
            mark(&p->hashes, t->type, t->id, 0);
        }
    }
}

static bool is_yes(const struct probe *p)
{
    return p->answer == ANSWER_ACCEPTED || p->answer == ANSWER_OTHER_GROUP;
}

static const char *first_accepted(const struct kind *kind)
{
    for (size_t i = 0; kind->words[i] != NULL; i++) {
        if (kind->accepted[i]) {
            return kind->words[i];
        }
    }
    return NULL;
}

/* Ciphers with all hashes and groups; then with one of those that are taken each group, and then
 * each hash. False: the peer does not answer. */
static bool walk(struct probe *p)
{
    for (size_t i = 0; p->ciphers.words[i] != NULL; i++) {
        ask(p, p->ciphers.words[i], NULL, NULL, KEY_EXCHANGE_MODP_2048);
        if (p->answer == ANSWER_NONE && i == 0) {
            return false;
        }
        if (is_yes(p)) {
            learn(p, p->ciphers.words[i]);
        }
    }
    const char *cipher = first_accepted(&p->ciphers);

    for (size_t i = 0; cipher != NULL && p->groups.words[i] != NULL; i++) {
        if (!p->groups.accepted[i]) {
            ask(p, cipher, NULL, p->groups.words[i], group_of(p->groups.words[i]));
            if (is_yes(p)) {
                learn(p, NULL);
            }
        }
    }
    const char *group = first_accepted(&p->groups);

    for (size_t i = 0; cipher != NULL && group != NULL && p->hashes.words[i] != NULL; i++) {
        if (!p->hashes.accepted[i]) {
            ask(p, cipher, p->hashes.words[i], group, group_of(group));
            if (is_yes(p)) {
                learn(p, NULL);
            }
        }
    }
    return true;
}

/* ---- what is told ---- */

static void list(const struct kind *kind, const char *between, struct text *out)
{
    size_t count = 0;

    for (size_t i = 0; kind->words[i] != NULL; i++) {
        if (kind->accepted[i]) {
            text_addf(out, "%s%s", count++ > 0 ? between : "", kind->words[i]);
        }
    }
}

static bool allows(const struct proposals *ike, uint8_t type, const struct kind *kind)
{
    for (size_t i = 0; kind->words[i] != NULL; i++) {
        struct transform t;

        if (!kind->accepted[i] || !transform_by_word(type, slice_of_text(kind->words[i]), &t)) {
            continue;
        }
        for (size_t k = 0; k < ike->count; k++) {
            for (size_t m = 0; m < ike->list[k].count; m++) {
                const struct transform *o = &ike->list[k].transforms[m];

                if (o->type == t.type && o->id == t.id && o->key_bits == t.key_bits) {
                    return true;
                }
            }
        }
    }
    return false;
}

/* The weak ones among what is to be written. */
static void add_legacy(const char *cipher, const char *hash, const char *group, struct text *out)
{
    const char *const words[] = {cipher, hash, group};
    bool first = true;

    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        struct transform t;
        const struct algorithm *a =
            transform_by_word(0, slice_of_text(words[i]), &t) ? algorithm_find(t.type, t.id) : NULL;

        if (a != NULL && a->strength == STRENGTH_LEGACY) {
            text_addf(out, "%s%s", first ? "; and: legacy " : " ", words[i]);
            first = false;
        }
    }
}

static void say_advice(const struct probe *p, struct text *out)
{
    const char *cipher = first_accepted(&p->ciphers);
    const char *hash = first_accepted(&p->hashes);
    const char *group = first_accepted(&p->groups);

    if (cipher == NULL || hash == NULL || group == NULL) {
        return;
    }
    if (allows(p->site->ike, TRANSFORM_ENCRYPTION, &p->ciphers) &&
        allows(p->site->ike, TRANSFORM_PRF, &p->hashes) &&
        allows(p->site->ike, TRANSFORM_KEY_EXCHANGE, &p->groups)) {
        text_addf(out, "Site %s allows some of it: algorithms are not what is wrong.",
                  p->site->name);
        return;
    }
    text_addf(out, "Site %s allows none of it. Write: ike %s-%s%s-%s", p->site->name, cipher,
              is_aead(cipher) ? "prf" : "", hash, group);
    add_legacy(cipher, hash, group, out);
}

static int tell(const struct probe *p, const char *peer, bool answers)
{
    const struct command *command = p->command;
    char ciphers[256];
    char hashes[128];
    char groups[256];
    char advice[512];
    struct text text = text_over(ciphers, sizeof(ciphers));

    list(&p->ciphers, ", ", &text);
    text = text_over(hashes, sizeof(hashes));
    list(&p->hashes, ", ", &text);
    text = text_over(groups, sizeof(groups));
    list(&p->groups, ", ", &text);
    text = text_over(advice, sizeof(advice));
    say_advice(p, &text);
    if (!answers) {
        return fail_with(command->json, EXIT_FAILED,
                         "Perhaps it speaks IKEv1 only, or does not let this machine in.",
                         "%s does not answer IKEv2 on UDP 500", peer);
    }
    if (ciphers[0] == '\0') {
        return fail_with(command->json, EXIT_FAILED, NULL,
                         "%s answers, and accepts none of what was offered (%s)", peer,
                         p->answer == ANSWER_ERROR ? ikev2_notify_name(p->notify)
                                                   : "NO_PROPOSAL_CHOSEN");
    }
    if (command->json) {
        json_t *answer = json_pack(
            "{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i}", "version", 1, "site", p->site->name,
            "peer", peer, "ciphers", ciphers, "hashes", hashes, "groups", groups, "looks_like",
            persona_name(p->persona), "advice", advice, "messages", (int)p->sent);

        print_json(answer);
        json_decref(answer);
        return EXIT_OK;
    }
    printf("%s accepts, in IKEv2:\n  ciphers  %s\n  hashes   %s\n  groups   %s\n", peer, ciphers,
           hashes, groups);
    if (p->persona != PERSONA_UNKNOWN) {
        printf("It looks like %s.\n", persona_name(p->persona));
    }
    printf("%s\n(%u messages; nobody proved anything, and nothing was established.)\n", advice,
           p->sent);
    return EXIT_OK;
}

static int open_towards(const struct config_host *host, char *why, size_t why_bytes)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    struct addrinfo *found = NULL;
    char port[8];

    snprintf(port, sizeof(port), "%u", host->port == 0 ? 500u : (unsigned)host->port);
    int error = getaddrinfo(host->text, port, &hints, &found);

    if (error != 0) {
        snprintf(why, why_bytes, "%s: %s", host->text, gai_strerror(error));
        return -1;
    }
    int fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    if (fd < 0) {
        snprintf(why, why_bytes, "there is no way to %s", host->text);
    }
    return fd;
}

static int probe_site(const struct command *command, const struct config *config)
{
    const struct config_site *site = config_find_site(config, command->site);
    char why[256];
    struct probe p = {
        .command = command,
        .site = site,
        .random = entropy_source(),
        .ciphers = {"ciphers",
                    {"aes256gcm16", "aes128gcm16", "chacha20poly1305", "aes256", "aes192", "aes128",
                     "3des"},
                    {false}},
        .hashes = {"hashes", {"sha256", "sha384", "sha512", "sha1", "md5"}, {false}},
        .groups = {"groups",
                   {"x25519", "ecp384", "ecp256", "ecp521", "modp4096", "modp3072", "modp2048",
                    "modp1536", "modp1024"},
                   {false}},
    };

    if (site == NULL) {
        return fail_with(command->json, EXIT_FAILED, NULL, "there is no site %s", command->site);
    }
    if (site->peers[0].any) {
        return fail_with(command->json, EXIT_FAILED, NULL,
                         "site %s waits for whoever calls: there is nobody to ask", site->name);
    }
    p.fd = open_towards(&site->peers[0], why, sizeof(why));
    if (p.fd < 0) {
        return fail_with(command->json, EXIT_FAILED, NULL, "%s", why);
    }
    if (!command->json) {
        fprintf(stderr, "Asking %s, one question a second, at most %d:\n", site->peers[0].text,
                PROBES_MAX);
    }
    bool answers = walk(&p);

    close(p.fd);
    return tell(&p, site->peers[0].text, answers);
}

int command_probe(const struct command *command)
{
    const char *path = command->config_path != NULL ? command->config_path : LOADER_DEFAULT_CONFIG;
    char secrets[LOADER_PATH_BYTES];
    int exit_code = EXIT_FAILED;

    if (!loader_secrets_directory(path, secrets)) {
        return fail_with(command->json, EXIT_USAGE, NULL, "the path is too long: %s", path);
    }
    struct loader *loader = loader_new(secrets, false);
    struct config_result *result = loader == NULL ? NULL : config_read(path, loader_config(loader));

    if (result != NULL && result->config != NULL) {
        exit_code = probe_site(command, result->config);
    } else if (result != NULL) {
        exit_code = fail_with(command->json, EXIT_FAILED, "sekisho check says what is wrong",
                              "the configuration %s has %zu errors", path, result->error_count);
    }
    config_result_free(result);
    loader_free(loader);
    return exit_code;
}
