/*
 * `sekisho ca`: an authority for the certificates of one's own gateways, in two commands. Decides
 * what they are called, how long they are good, and where they go.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/clock.h"
#include "host/entropy.h"
#include "host/files.h"
#include "loader/certificates.h"
#include "sekisho/ca.h"

#define AUTHORITY_DAYS 3650
/* Apple's systems refuse a server's certificate that is good for more than 825 days. */
#define CERTIFICATE_DAYS 730
#define LIST_DAYS 30
#define BUNDLE_BYTES (PRIVATE_KEY_FILE_BYTES_MAX + 4 * AUTHORITY_PEM_BYTES_MAX)
#define LIST_BYTES_MAX (8u * 1024 * 1024)
#define PASSPHRASE_FIGURES 20

int64_t ca_now_s(void)
{
    return (int64_t)(clock_date_ms() / 1000);
}

int ca_no_memory(const struct command *command)
{
    return fail_with(command->json, EXIT_FAILED, NULL, "there is no memory");
}

/* ---- what was asked for ---- */

static bool parse_key_kind(const char *word, enum key_kind *kind, unsigned *bits)
{
    static const struct {
        const char *word;
        enum key_kind kind;
        unsigned bits;
    } words[] = {
        {"p256", KEY_P256, 0},       {"p384", KEY_P384, 0},      {"p521", KEY_P521, 0},
        {"ed25519", KEY_ED25519, 0}, {"ed448", KEY_ED448, 0},    {"rsa2048", KEY_RSA, 2048},
        {"rsa3072", KEY_RSA, 3072},  {"rsa4096", KEY_RSA, 4096},
    };

    *kind = KEY_P256;
    *bits = 0;
    for (size_t i = 0; word != NULL && i < ARRAY_LENGTH(words); i++) {
        if (strcmp(words[i].word, word) == 0) {
            *kind = words[i].kind;
            *bits = words[i].bits;
            return true;
        }
    }
    return word == NULL;
}

int ca_make_key(const struct command *command, struct private_key **out)
{
    enum key_kind kind;
    unsigned bits;

    if (!parse_key_kind(command->key_kind, &kind, &bits)) {
        return fail_with(command->json, EXIT_USAGE, NULL,
                         "--key is one of p256 (the default), p384, p521, ed25519, ed448, rsa2048, "
                         "rsa3072, rsa4096");
    }
    *out = private_key_make(kind, bits);
    return *out != NULL ? EXIT_OK : ca_no_memory(command);
}

static int parse_days(const struct command *command, int64_t standard, int64_t *days)
{
    char *end = NULL;

    *days = command->days == NULL ? standard : strtoll(command->days, &end, 10);
    if (*days < 1 || *days > 36500 || (command->days != NULL && *end != '\0')) {
        return fail_with(command->json, EXIT_USAGE, NULL, "--days is a number from 1 to 36500");
    }
    return EXIT_OK;
}

/* ---- the list of what was revoked ---- */

static bool octets_of(const struct issued *record, struct authority_revoked *out)
{
    out->at_s = record->revoked_s;
    return hex_parse(slice_of_text(record->serial), out->serial, sizeof(out->serial),
                     &out->serial_length);
}

/* The list, and beside our certificates the authority with it, which is what sites trust. */
int ca_write_list(const struct ca_files *files)
{
    struct authority_revoked *list = calloc(files->count + 1, sizeof(*list));
    uint8_t *bytes = malloc(LIST_BYTES_MAX);
    size_t count = 0;
    int64_t now = ca_now_s();
    int exit_code = EXIT_OK;

    for (size_t i = 0; list != NULL && i < files->count; i++) {
        /* RFC 5280 5.1.2.6 lets go of those whose time is over. */
        if (files->records[i].revoked_s != 0 && files->records[i].ends_s >= now &&
            octets_of(&files->records[i], &list[count])) {
            count++;
        }
    }
    if (list == NULL || bytes == NULL) {
        exit_code = ca_no_memory(files->command);
    } else {
        struct writer w = writer_over(bytes, LIST_BYTES_MAX);
        bool good = authority_write_pem(files->authority, &w);
        size_t head = writer_written(&w).length;

        good = good && authority_write_crl(files->authority, files->key, list, count, (uint64_t)now,
                                           now - CA_CLOCK_SKEW_S, now + LIST_DAYS * CA_DAY_S, &w);
        struct slice all = writer_written(&w);

        exit_code =
            !good
                ? fail_with(files->command->json, EXIT_FAILED, NULL, "the list could not be signed")
                : ca_files_write(files, files->folder, "crl.pem", "",
                                 (struct slice){all.data + head, all.length - head}, 0644);
        if (exit_code == EXIT_OK) {
            exit_code =
                ca_files_write(files, files->certificates, CERTIFICATES_AUTHORITIES, "", all, 0644);
        }
    }
    free(list);
    free(bytes);
    return exit_code;
}

/* ---- init ---- */

static int write_authority(struct ca_files *files)
{
    const struct command *command = files->command;
    uint8_t bytes[PRIVATE_KEY_FILE_BYTES_MAX + AUTHORITY_PEM_BYTES_MAX];
    struct writer key = writer_over(bytes, PRIVATE_KEY_FILE_BYTES_MAX);
    struct writer pem = writer_over(bytes + PRIVATE_KEY_FILE_BYTES_MAX, AUTHORITY_PEM_BYTES_MAX);
    struct secret passphrase = {.bytes = NULL};
    int exit_code = ca_passphrase(command, &passphrase);

    if (exit_code == EXIT_OK && (!private_key_write(files->key, secret_slice(&passphrase), &key) ||
                                 !authority_write_pem(files->authority, &pem))) {
        exit_code = ca_no_memory(command);
    }
    if (exit_code == EXIT_OK) {
        exit_code = ca_files_write(files, files->folder, "ca.key", "", writer_written(&key), 0600);
    }
    if (exit_code == EXIT_OK) {
        exit_code = ca_files_save(files);
    }
    /* Last: what is half made is not there. */
    if (exit_code == EXIT_OK) {
        exit_code = ca_files_write(files, files->folder, "ca.pem", "", writer_written(&pem), 0644);
    }
    secret_wipe(&passphrase);
    wipe(bytes, sizeof(bytes));
    return exit_code;
}

static int ca_init(struct ca_files *files)
{
    const struct command *command = files->command;
    struct random_source random = entropy_source();
    struct authority_order order = {.common_name =
                                        command->word_count > 1 ? command->words[1] : "Sekisho CA"};
    int64_t days;

    if (ca_files_exist(files)) {
        return fail_with(command->json, EXIT_FAILED,
                         "Its certificates would be worth nothing with another one.",
                         "there is an authority in %s already", files->folder);
    }
    int exit_code = parse_days(command, AUTHORITY_DAYS, &days);

    if (exit_code == EXIT_OK) {
        exit_code = ca_make_key(command, &files->key);
    }
    if (exit_code != EXIT_OK) {
        return exit_code;
    }
    order.begins_s = ca_now_s() - CA_CLOCK_SKEW_S;
    order.ends_s = ca_now_s() + days * CA_DAY_S;
    files->authority = authority_make_root(&order, files->key, &random);
    if (files->authority == NULL) {
        return fail_with(command->json, EXIT_USAGE, NULL,
                         "the name of an authority has 1 to 64 characters of ASCII");
    }
    exit_code = write_authority(files);
    if (exit_code == EXIT_OK) {
        exit_code = ca_write_list(files);
    }
    if (exit_code == EXIT_OK && command->json) {
        json_t *answer = json_pack("{s:i, s:s}", "version", 1, "folder", files->folder);

        print_json(answer);
        json_decref(answer);
    } else if (exit_code == EXIT_OK) {
        printf("The authority \"%s\" is in %s. Keep ca.key safe: whoever has it can be anybody.\n"
               "Next, on this machine: sekisho ca issue NAME, with the name of the line gateway;\n"
               "for another one:       sekisho ca issue OTHER-NAME -o OTHER-NAME.pem\n",
               order.common_name, files->folder);
    }
    return exit_code;
}

/* ---- issue ---- */

static bool ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text);
    size_t end = strlen(ending);

    return length > end && strcmp(text + length - end, ending) == 0;
}

/* Letters and figures that nobody takes for others. */
static void make_passphrase(char out[PASSPHRASE_FIGURES + 1])
{
    static const char figures[] = "abcdefghjkmnpqrstuvwxyz23456789";
    struct random_source random = entropy_source();

    for (size_t i = 0; i < PASSPHRASE_FIGURES; i++) {
        out[i] = figures[random_below(&random, sizeof(figures) - 1)];
    }
    out[PASSPHRASE_FIGURES] = '\0';
}

/* Key, certificate and authority in one file: PEM, or PKCS#12 when it is called so. */
static int write_bundle(const struct ca_files *files, struct slice key,
                        const struct certificate *certificate, const char *title,
                        char passphrase[PASSPHRASE_FIGURES + 1])
{
    const struct command *command = files->command;
    bool pkcs12 =
        ends_with(command->output_path, ".p12") || ends_with(command->output_path, ".pfx");
    uint8_t *bytes = malloc(BUNDLE_BYTES + PKCS12_BYTES_MAX);

    if (bytes == NULL) {
        return ca_no_memory(command);
    }
    struct writer pem = writer_over(bytes, BUNDLE_BYTES);
    struct writer out = writer_over(bytes + BUNDLE_BYTES, PKCS12_BYTES_MAX);
    bool good =
        authority_write_pem(certificate, &pem) && authority_write_pem(files->authority, &pem);
    struct slice written = {NULL, 0};

    if (good && pkcs12) {
        struct credential_verdict verdict;
        struct credential *credential =
            credential_read(writer_written(&pem), key, (struct slice){NULL, 0}, &verdict);

        make_passphrase(passphrase);
        good = credential != NULL &&
               credential_write_pkcs12(credential, title, passphrase, command->compatible, &out);
        written = writer_written(&out);
        credential_free(credential);
    } else if (good) {
        write_slice(&pem, key);
        written = writer_written(&pem);
        good = writer_ok(&pem);
    }
    int exit_code = good ? ca_files_write_path(files, command->output_path, written, 0600)
                         : ca_no_memory(command);

    wipe(bytes, BUNDLE_BYTES + PKCS12_BYTES_MAX);
    free(bytes);
    return exit_code;
}

/* For a gateway of this machine. */
static int write_here(const struct ca_files *files, struct slice key,
                      const struct certificate *certificate, const char *name)
{
    uint8_t bytes[AUTHORITY_PEM_BYTES_MAX];
    struct writer pem = writer_over(bytes, sizeof(bytes));

    if (!authority_write_pem(certificate, &pem)) {
        return ca_no_memory(files->command);
    }
    int exit_code = key.length == 0
                        ? EXIT_OK
                        : ca_files_write(files, files->certificates, name, ".key", key, 0600);

    return exit_code != EXIT_OK ? exit_code
                                : ca_files_write(files, files->certificates, name, ".pem",
                                                 writer_written(&pem), 0644);
}

static void tell_issued(const struct ca_files *files, const char *name, const char *passphrase,
                        const struct issued *record)
{
    const struct command *command = files->command;
    char until[64];
    struct text text = text_over(until, sizeof(until));

    certificate_time_words(record->ends_s, &text);
    if (command->json) {
        json_t *answer =
            json_pack("{s:i, s:s, s:s, s:I, s:s, s:s}", "version", 1, "name", name, "serial",
                      record->serial, "ends", (json_int_t)record->ends_s, "file",
                      command->output_path != NULL ? command->output_path : files->certificates,
                      "passphrase", passphrase);

        print_json(answer);
        json_decref(answer);
        return;
    }
    printf("%s is certified until %s, serial %s.\n", name, until, record->serial);
    if (command->output_path == NULL) {
        printf("Written to %s/%s.pem and .key. A daemon that runs takes it with: sekisho apply\n",
               files->certificates, name);
    } else if (passphrase[0] != '\0') {
        printf("Written to %s. It opens with: %s\n", command->output_path, passphrase);
    } else {
        printf("Written to %s, with the private key. Bring it there by a safe way, and run:\n"
               "sekisho ca install %s\n",
               command->output_path, command->output_path);
    }
}

void ca_request_fini(struct ca_request *request)
{
    private_key_free(request->key);
    public_key_free(request->public);
    *request = (struct ca_request){.key = NULL};
}

int ca_issue_request(struct ca_files *files, const struct ca_request *request, bool quiet)
{
    const struct command *command = files->command;
    struct authority_order with_url = request->order;
    const struct authority_order *order = &with_url;
    struct random_source random = entropy_source();
    struct issued record = {.begins_s = order->begins_s, .ends_s = order->ends_s};
    char passphrase[PASSPHRASE_FIGURES + 1] = "";
    uint8_t bytes[PRIVATE_KEY_FILE_BYTES_MAX];
    struct writer w = writer_over(bytes, sizeof(bytes));
    int exit_code = EXIT_OK;

    with_url.list_url = files->url[0] == '\0' ? NULL : files->url;
    struct certificate *certificate =
        authority_issue(order, request->public, files->authority, files->key, &random);

    if (certificate == NULL ||
        (request->key != NULL && !private_key_write(request->key, (struct slice){NULL, 0}, &w))) {
        exit_code = fail_with(command->json, EXIT_FAILED,
                              "Names are host names, addresses and user@host; the authority must "
                              "be good for as long.",
                              "such a certificate cannot be issued");
    }
    if (exit_code == EXIT_OK) {
        struct text serial = text_over(record.serial, sizeof(record.serial));
        struct text names = text_over(record.names, sizeof(record.names));

        certificate_serial_words(certificate, &serial);
        for (size_t i = 0; i < order->name_count; i++) {
            text_addf(&names, "%s%s", i == 0 ? "" : ",", order->names[i]);
        }
        /* First the record: what nobody can revoke is not given away. */
        exit_code = names.cut
                        ? fail_with(command->json, EXIT_USAGE, NULL, "these are too many names")
                        : ca_files_add(files, &record);
    }
    if (exit_code == EXIT_OK) {
        exit_code =
            command->output_path != NULL
                ? write_bundle(files, writer_written(&w), certificate, order->names[0], passphrase)
                : write_here(files, writer_written(&w), certificate, order->names[0]);
    }
    if (exit_code == EXIT_OK && !quiet) {
        tell_issued(files, order->names[0], passphrase, &record);
    }
    wipe(passphrase, sizeof(passphrase));
    wipe(bytes, sizeof(bytes));
    certificate_free(certificate);
    return exit_code;
}

int ca_set_times(const struct ca_files *files, struct authority_order *order)
{
    int64_t days;
    int exit_code = parse_days(files->command, CERTIFICATE_DAYS, &days);

    order->begins_s = ca_now_s() - CA_CLOCK_SKEW_S;
    order->ends_s = ca_now_s() + days * CA_DAY_S;
    if (order->begins_s < certificate_begins_s(files->authority)) {
        order->begins_s = certificate_begins_s(files->authority);
    }
    if (files->command->days == NULL && order->ends_s > certificate_ends_s(files->authority)) {
        order->ends_s = certificate_ends_s(files->authority);
    }
    return exit_code;
}

static int ca_issue(struct ca_files *files)
{
    const struct command *command = files->command;
    struct ca_request request = {.key = NULL};
    struct authority_order *order = &request.order;

    for (size_t i = 1; i < command->word_count; i++) {
        if (!authority_name_is_good(command->words[i])) {
            return fail_with(command->json, EXIT_USAGE, NULL,
                             "'%s' is neither a host name nor an address nor user@host",
                             command->words[i]);
        }
        order->names[order->name_count++] = command->words[i];
    }
    if (order->name_count == 0) {
        return fail_with(command->json, EXIT_USAGE, NULL, "usage: sekisho ca issue NAME...");
    }
    order->common_name = order->names[0];
    int exit_code = ca_files_open(files, true);

    if (exit_code == EXIT_OK) {
        exit_code = ca_set_times(files, order);
    }
    if (exit_code == EXIT_OK) {
        exit_code = ca_make_key(command, &request.key);
    }
    if (exit_code == EXIT_OK) {
        request.public = private_key_public(request.key);
        exit_code = request.public == NULL ? ca_no_memory(command)
                                           : ca_issue_request(files, &request, false);
    }
    ca_request_fini(&request);
    return exit_code;
}

/* ---- revoke ---- */

bool ca_is_called(const struct issued *record, const char *name)
{
    size_t length = strlen(name);

    return strcmp(record->serial, name) == 0 ||
           (strncmp(record->names, name, length) == 0 &&
            (record->names[length] == '\0' || record->names[length] == ','));
}

int ca_nobody(const struct command *command, const char *name)
{
    return fail_with(command->json, EXIT_FAILED, "sekisho ca list shows what was issued.",
                     "no certificate that is good was issued to %s", name);
}

static int ca_revoke(struct ca_files *files)
{
    const struct command *command = files->command;
    size_t count = 0;
    int exit_code = ca_files_open(files, true);

    for (size_t i = 0; exit_code == EXIT_OK && i < files->count; i++) {
        struct issued *record = &files->records[i];

        if (record->revoked_s == 0 && record->ends_s >= ca_now_s() &&
            ca_is_called(record, command->words[1])) {
            record->revoked_s = ca_now_s();
            count++;
        }
    }
    if (exit_code != EXIT_OK || count == 0) {
        return exit_code != EXIT_OK ? exit_code : ca_nobody(command, command->words[1]);
    }
    exit_code = ca_files_save(files);
    if (exit_code == EXIT_OK) {
        exit_code = ca_write_list(files);
    }
    if (exit_code == EXIT_OK) {
        (void)ca_tell_daemon(command);
    }
    if (exit_code == EXIT_OK && command->json) {
        json_t *answer = json_pack("{s:i, s:I}", "version", 1, "revoked", (json_int_t)count);

        print_json(answer);
        json_decref(answer);
    } else if (exit_code == EXIT_OK) {
        printf(
            "%zu certificate%s of %s revoked. Sites of this machine know it after: sekisho apply\n"
            "Other machines need the new list: %s/crl.pem\n",
            count, count == 1 ? "" : "s", command->words[1], files->folder);
    }
    return exit_code;
}

/* For the certificates that are issued from now on. */
static int keep_url(const struct ca_files *files)
{
    const struct command *command = files->command;
    bool off = strcmp(command->url, "off") == 0;
    char line[AUTHORITY_URL_BYTES + 1];
    struct text text = text_over(line, sizeof(line));

    if (!off && !authority_url_is_good(command->url)) {
        return fail_with(command->json, EXIT_USAGE, NULL,
                         "--url is a place like http://tokyo.example.jp:8080/ca.crl, or off");
    }
    text_addf(&text, "%s\n", off ? "" : command->url);
    return ca_files_write(files, files->folder, "url", "",
                          (struct slice){(const uint8_t *)line, text.length}, 0644);
}

static int ca_crl(struct ca_files *files)
{
    const struct command *command = files->command;
    int exit_code = ca_files_open(files, true);

    if (exit_code == EXIT_OK && command->url != NULL) {
        exit_code = keep_url(files);
    }
    if (exit_code == EXIT_OK) {
        exit_code = ca_write_list(files);
    }
    if (exit_code == EXIT_OK) {
        (void)ca_tell_daemon(command);
    }
    if (exit_code == EXIT_OK && command->json) {
        json_t *answer = json_pack("{s:i, s:s}", "version", 1, "folder", files->folder);

        print_json(answer);
        json_decref(answer);
    } else if (exit_code == EXIT_OK) {
        printf("A new list, good for %d days: %s/crl.pem\n", LIST_DAYS, files->folder);
    }
    return exit_code;
}

/* ---- list ---- */

static const char *state_of(const struct issued *record)
{
    return record->revoked_s != 0 ? "revoked" : record->ends_s < ca_now_s() ? "expired" : "good";
}

static int ca_list(struct ca_files *files)
{
    int exit_code = ca_files_open(files, false);

    if (exit_code != EXIT_OK) {
        return exit_code;
    }
    json_t *list = files->command->json ? json_array() : NULL;

    if (list == NULL) {
        printf("%-8s  %-20s  %-32s  NAMES\n", "STATE", "UNTIL", "SERIAL");
    }
    for (size_t i = 0; i < files->count; i++) {
        const struct issued *r = &files->records[i];
        char until[64];
        struct text text = text_over(until, sizeof(until));

        certificate_time_words(r->ends_s, &text);
        if (list == NULL) {
            printf("%-8s  %-20s  %-32s  %s\n", state_of(r), until, r->serial, r->names);
        } else {
            (void)json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:I}", "state",
                                                        state_of(r), "serial", r->serial, "names",
                                                        r->names, "ends", (json_int_t)r->ends_s));
        }
    }
    if (list != NULL) {
        json_t *answer = json_pack("{s:i, s:o}", "version", 1, "certificates", list);

        print_json(answer);
        json_decref(answer);
    }
    return EXIT_OK;
}

/* ---- export and install ---- */

/* What a gateway of this machine uses, for another one of the same name; or the authority alone. */
static int ca_export(struct ca_files *files)
{
    const struct command *command = files->command;
    char passphrase[PASSPHRASE_FIGURES + 1] = "";
    char why[512];
    int exit_code = ca_files_open(files, false);

    if (exit_code != EXIT_OK) {
        return exit_code;
    }
    if (command->word_count < 2) {
        uint8_t bytes[AUTHORITY_PEM_BYTES_MAX];
        struct writer w = writer_over(bytes, sizeof(bytes));

        if (!authority_write_pem(files->authority, &w)) {
            return ca_no_memory(command);
        }
        struct slice pem = writer_written(&w);

        if (command->output_path != NULL) {
            return ca_files_write_path(files, command->output_path, pem, 0644);
        }
        printf("%.*s", (int)pem.length, (const char *)pem.data);
        return EXIT_OK;
    }
    if (command->output_path == NULL || !authority_name_is_good(command->words[1])) {
        return fail_with(command->json, EXIT_USAGE, NULL,
                         "usage: sekisho ca export NAME -o FILE.p12 [--compat]");
    }
    struct config_site here = {.name = ""};
    struct credential *own = NULL;
    struct trust *trust = NULL;

    if (!certificates_load(files->certificates, &here, command->words[1], &own, &trust, why,
                           sizeof(why))) {
        return fail_with(command->json, EXIT_FAILED, NULL, "%s", why);
    }
    uint8_t bytes[PRIVATE_KEY_FILE_BYTES_MAX];
    struct writer w = writer_over(bytes, sizeof(bytes));

    exit_code = credential_write_key(own, &w)
                    ? write_bundle(files, writer_written(&w), credential_at(own, 0),
                                   command->words[1], passphrase)
                    : ca_no_memory(command);
    if (exit_code == EXIT_OK && passphrase[0] != '\0') {
        printf("Written to %s. It opens with: %s\n", command->output_path, passphrase);
    }
    wipe(bytes, sizeof(bytes));
    wipe(passphrase, sizeof(passphrase));
    credential_free(own);
    trust_free(trust);
    return exit_code;
}

/* What `ca issue -o FILE.pem` made on another machine: our certificate, its key, the authority. */
static int take_bundle(struct ca_files *files, struct slice text)
{
    const struct command *command = files->command;
    struct credential_verdict verdict;
    struct credential *own = credential_read(text, text, (struct slice){NULL, 0}, &verdict);

    if (own == NULL) {
        char why[256];
        struct text words = text_over(why, sizeof(why));

        credential_verdict_words(&verdict, &words);
        return fail_with(command->json, EXIT_FAILED, NULL, "%s: %s", command->words[1], why);
    }
    char subject[256];
    struct text words = text_over(subject, sizeof(subject));
    uint8_t bytes[PRIVATE_KEY_FILE_BYTES_MAX];
    uint8_t authorities[4 * AUTHORITY_PEM_BYTES_MAX];
    struct writer key = writer_over(bytes, sizeof(bytes));
    struct writer pem = writer_over(authorities, sizeof(authorities));
    int exit_code = EXIT_OK;

    certificate_subject_words(credential_at(own, 0), &words);
    const char *name = subject + 3;

    for (size_t i = 1; i < credential_count(own); i++) {
        if (!authority_write_pem(credential_at(own, i), &pem)) {
            break;
        }
    }
    if (strncmp(subject, "CN=", 3) != 0 || !authority_name_is_good(name) ||
        credential_count(own) < 2 || !writer_ok(&pem) || !credential_write_key(own, &key)) {
        exit_code = fail_with(command->json, EXIT_FAILED, NULL,
                              "%s is not what 'sekisho ca issue NAME -o FILE.pem' writes",
                              command->words[1]);
    }
    if (exit_code == EXIT_OK) {
        exit_code = ca_files_write(files, files->certificates, CERTIFICATES_AUTHORITIES, "",
                                   writer_written(&pem), 0644);
    }
    if (exit_code == EXIT_OK) {
        exit_code = write_here(files, writer_written(&key), credential_at(own, 0), name);
    }
    if (exit_code == EXIT_OK && command->json) {
        json_t *answer = json_pack("{s:i, s:s}", "version", 1, "name", name);

        print_json(answer);
        json_decref(answer);
    } else if (exit_code == EXIT_OK) {
        printf("%s/%s.pem and .key are there: a site without a line key uses them when the line\n"
               "gateway says %s. Remove %s when the other machine does not need it.\n",
               files->certificates, name, name, command->words[1]);
    }
    wipe(bytes, sizeof(bytes));
    credential_free(own);
    return exit_code;
}

static int ca_install(struct ca_files *files)
{
    size_t length = 0;
    char why[512];
    char *text = files_read_private(files->command->words[1], &length, why, sizeof(why));

    if (text == NULL) {
        return fail_with(files->command->json, EXIT_FAILED, NULL, "%s", why);
    }
    int exit_code = ca_files_exist(files)
                        ? fail_with(files->command->json, EXIT_FAILED, NULL,
                                    "this machine has an authority of its own in %s", files->folder)
                        : take_bundle(files, (struct slice){(const uint8_t *)text, length});

    wipe(text, length);
    free(text);
    return exit_code;
}

int verb_ca(const struct command *command)
{
    static const struct {
        const char *word;
        size_t most; /* words, with this one */
        size_t least;
        int (*run)(struct ca_files *files);
    } verbs[] = {
        {"init", 2, 1, ca_init},   {"issue", COMMAND_WORDS_MAX, 2, ca_issue},
        {"renew", 2, 1, ca_renew}, {"revoke", 2, 2, ca_revoke},
        {"list", 1, 1, ca_list},   {"export", 2, 1, ca_export},
        {"crl", 1, 1, ca_crl},     {"install", 2, 2, ca_install},
    };
    struct ca_files files;

    for (size_t i = 0; i < ARRAY_LENGTH(verbs); i++) {
        if (strcmp(verbs[i].word, command->words[0]) != 0) {
            continue;
        }
        if (command->word_count < verbs[i].least || command->word_count > verbs[i].most) {
            return fail_with(command->json, EXIT_USAGE, NULL, "usage: sekisho ca %s%s",
                             verbs[i].word, verbs[i].least > 1 ? " NAME" : "");
        }
        int exit_code = ca_files_begin(command, &files);

        if (exit_code == EXIT_OK) {
            exit_code = verbs[i].run(&files);
            ca_files_fini(&files);
        }
        return exit_code;
    }
    return fail_with(command->json, EXIT_USAGE,
                     "There are init, issue, renew, revoke, list, export, crl and install.",
                     "'%s' is nothing that an authority does", command->words[0]);
}
