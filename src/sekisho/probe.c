/*
 * `check --site NAME --probe`: what a configured peer accepts of IKE, found by asking: one first
 * message after the other, at most one a second and at most PROBES_MAX of them, from a port of our
 * own, so that a daemon is not disturbed. What comes after it, where both would have to prove who
 * they are, is never begun: the peer forgets such a beginning by itself.
 */
#include "sekisho/probe.h"

#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "host/entropy.h"
#include "loader/loader.h"

#define PROBE_EVERY_MS 1000
#define ANSWER_MS 900 /* then it is asked again, once */
#define MESSAGE_BYTES 8192

static uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void wait_ms(uint64_t ms)
{
    struct timespec pause = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

    nanosleep(&pause, NULL);
}

bool probe_send(struct probe *p, struct slice question,
                bool (*read)(struct probe *p, struct slice message, struct slice question))
{
    uint64_t now_ms = clock_ms();

    if (p->sent > 0 && now_ms < p->last_ms + PROBE_EVERY_MS) {
        wait_ms(p->last_ms + PROBE_EVERY_MS - now_ms);
    }
    p->sent++;
    p->last_ms = clock_ms();
    if (send(p->fd, question.data, question.length, 0) < 0) {
        return false;
    }
    for (uint64_t end_ms = p->last_ms + ANSWER_MS; (now_ms = clock_ms()) < end_ms;) {
        struct pollfd waits = {.fd = p->fd, .events = POLLIN};
        uint8_t bytes[MESSAGE_BYTES];

        if (poll(&waits, 1, (int)(end_ms - now_ms)) <= 0) {
            break;
        }
        ssize_t got = recv(p->fd, bytes, sizeof(bytes), 0);

        if (got > 0 && read(p, (struct slice){bytes, (size_t)got}, question)) {
            return true;
        }
        if (got < 0) {
            break; /* ICMP says that nobody is there */
        }
    }
    return false;
}

/* ---- the walk ---- */

static const char *mark(struct kind *kind, uint8_t type, uint16_t id, uint16_t key_bits)
{
    for (size_t i = 0; kind->words[i] != NULL; i++) {
        struct transform t;

        if (transform_by_word(type, slice_of_text(kind->words[i]), &t) && t.id == id &&
            t.key_bits == key_bits) {
            kind->accepted[i] = true;
            return kind->words[i];
        }
    }
    return NULL;
}

static void learn(struct probe *p, const char *cipher)
{
    for (size_t i = 0; cipher != NULL && i < ARRAY_LENGTH(p->ciphers.words); i++) {
        if (p->ciphers.words[i] != NULL && strcmp(p->ciphers.words[i], cipher) == 0) {
            p->ciphers.accepted[i] = true;
        }
    }
    if (p->answer == ANSWER_OTHER_GROUP) {
        (void)mark(&p->groups, TRANSFORM_KEY_EXCHANGE, p->wanted_group, 0);
    }
    const char *group = NULL;
    const char *hash = NULL;

    for (size_t i = 0; i < p->chosen_count; i++) {
        const struct transform *t = &p->chosen[i];

        if (t->type == TRANSFORM_KEY_EXCHANGE) {
            group = mark(&p->groups, t->type, t->id, 0);
        } else if (t->type == TRANSFORM_PRF) {
            hash = mark(&p->hashes, t->type, t->id, 0);
        }
    }
    if (p->cipher == NULL && cipher != NULL && hash != NULL && group != NULL) {
        p->cipher = cipher;
        p->hash = hash;
        p->group = group;
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

static const struct kind new_ciphers = {
    {"aes256gcm16", "aes128gcm16", "chacha20poly1305", "aes256", "aes192", "aes128", "3des"},
    {false}};
/* IKEv1 has no AEAD, and its peers may have nothing better than DES. */
static const struct kind old_ciphers = {{"aes256", "aes192", "aes128", "3des", "des"}, {false}};

/* Ciphers with all hashes and groups; then with one of those that are taken each group, and then
 * each hash. False: the peer does not answer. */
static bool walk(struct probe *p)
{
    bool answers = false;

    p->ciphers = p->version == &probe_ikev1 ? old_ciphers : new_ciphers;
    for (size_t i = 0; p->ciphers.words[i] != NULL; i++) {
        p->version->ask(p, p->ciphers.words[i], NULL, NULL);
        answers = answers || p->answer != ANSWER_NONE;
        /* With IKEv1 many refuse without a word. */
        if (!answers && p->version != &probe_ikev1) {
            return false;
        }
        if (is_yes(p)) {
            learn(p, p->ciphers.words[i]);
        }
    }
    const char *cipher = first_accepted(&p->ciphers);

    for (size_t i = 0; cipher != NULL && p->groups.words[i] != NULL; i++) {
        if (!p->groups.accepted[i]) {
            p->version->ask(p, cipher, NULL, p->groups.words[i]);
            if (is_yes(p)) {
                learn(p, NULL);
            }
        }
    }
    const char *group = first_accepted(&p->groups);

    for (size_t i = 0; cipher != NULL && group != NULL && p->hashes.words[i] != NULL; i++) {
        if (!p->hashes.accepted[i]) {
            p->version->ask(p, cipher, p->hashes.words[i], group);
            if (is_yes(p)) {
                learn(p, NULL);
            }
        }
    }
    return answers;
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

static bool is_aead(const char *cipher)
{
    struct transform t;
    const struct algorithm *a;

    return transform_by_word(TRANSFORM_ENCRYPTION, slice_of_text(cipher), &t) &&
           (a = algorithm_find(t.type, t.id)) != NULL && a->aead;
}

static void say_advice(const struct probe *p, struct text *out)
{
    const char *cipher = p->cipher != NULL ? p->cipher : first_accepted(&p->ciphers);
    const char *hash = p->cipher != NULL ? p->hash : first_accepted(&p->hashes);
    const char *group = p->cipher != NULL ? p->group : first_accepted(&p->groups);

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
    text_addf(out, "Site %s allows none of it. Write: ike %s%s-%s%s-%s", p->site->name,
              p->version == &probe_ikev1 ? "v1 " : "", cipher, is_aead(cipher) ? "prf" : "", hash,
              group);
    add_legacy(cipher, hash, group, out);
}

static unsigned port_of(const struct config_host *host)
{
    return host->port == 0 ? 500 : host->port;
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
        return fail_with(command->json, EXIT_FAILED, p->version->when_silent,
                         "%s does not answer %s on UDP %u", peer, p->version->name,
                         port_of(&p->site->peers[0]));
    }
    if (ciphers[0] == '\0') {
        return fail_with(command->json, EXIT_FAILED, NULL,
                         "%s answers, and accepts none of what was offered (%s)", peer,
                         p->answer == ANSWER_ERROR ? p->version->error_name(p->notify)
                                                   : "NO_PROPOSAL_CHOSEN");
    }
    if (command->json) {
        json_t *answer =
            json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i}", "version", 1, "site",
                      p->site->name, "peer", peer, "ike", p->version->name, "ciphers", ciphers,
                      "hashes", hashes, "groups", groups, "looks_like", persona_name(p->persona),
                      "advice", advice, "messages", (int)p->sent);

        print_json(answer);
        json_decref(answer);
        return EXIT_OK;
    }
    printf("%s accepts, in %s:\n  ciphers  %s\n  hashes   %s\n  groups   %s\n", peer,
           p->version->name, ciphers, hashes, groups);
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

    snprintf(port, sizeof(port), "%u", port_of(host));
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
        .version = site != NULL && site->version == CONFIG_IKE_V1 ? &probe_ikev1 : &probe_ikev2,
        .hashes = {{"sha256", "sha384", "sha512", "sha1", "md5"}, {false}},
        .groups = {{"x25519", "ecp384", "ecp256", "ecp521", "modp4096", "modp3072", "modp2048",
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

    if (!answers && site->version == CONFIG_IKE_EITHER) {
        p.version = &probe_ikev1;
        answers = walk(&p);
    }
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
