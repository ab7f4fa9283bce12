/*
 * `sekisho ca renew`: decides what is due, which key a renewed certificate has, and what the
 * administrator has to do himself. With --due nobody need be there: sekisho-renew.timer runs it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/files.h"
#include "loader/certificates.h"
#include "sekisho/ca.h"

#define LIST_AGE_S (7 * CA_DAY_S) /* it is good for 30 days */
#define FORGOTTEN_S (30 * CA_DAY_S) /* what ended so long ago elsewhere is not told any more */

static bool is_there(const struct ca_files *files, const char *name, const char *ending)
{
    char path[CA_PATH_BYTES];
    int length = snprintf(path, sizeof(path), "%s/%s%s", files->certificates, name, ending);

    return length > 0 && length < (int)sizeof(path) && access(path, F_OK) == 0;
}

static char *read_file(const struct ca_files *files, const char *name, const char *ending,
                       size_t *length)
{
    char path[CA_PATH_BYTES], why[512];
    int written = snprintf(path, sizeof(path), "%s/%s%s", files->certificates, name, ending);

    return written > 0 && written < (int)sizeof(path) ? files_read(path, length, why, sizeof(why))
                                                      : NULL;
}

/* What this machine uses under that name; NULL: nothing. */
static struct certificate *read_here(const struct ca_files *files, const char *name)
{
    struct certificate_bag bag = {0};
    struct certificate *found = NULL;
    size_t length = 0;
    char *text = read_file(files, name, ".pem", &length);

    if (text != NULL &&
        certificate_bag_add(&bag, (struct slice){(const uint8_t *)text, length}) ==
            CERTIFICATE_BAG_FINE &&
        bag.certificate_count > 0) {
        found = certificate_hold(bag.certificates[0]);
    }
    certificate_bag_fini(&bag);
    free(text);
    return found;
}

/* A new key of the same kind; where there is no file of a key it is in a token, and stays. */
static int key_like(const struct ca_files *files, const char *name, struct ca_request *request)
{
    const struct command *command = files->command;
    bool here = command->output_path == NULL && command->key_kind == NULL;
    struct certificate *old = here ? read_here(files, name) : NULL;
    const struct public_key *before = old == NULL ? NULL : certificate_key(old);
    int exit_code = EXIT_OK;

    if (before == NULL) {
        exit_code = ca_make_key(command, &request->key);
    } else if (is_there(files, name, ".key")) {
        request->key = private_key_make(public_key_kind(before), public_key_bits(before));
        exit_code = request->key == NULL ? ca_no_memory(command) : EXIT_OK;
    } else {
        uint8_t bytes[KEY_SPKI_BYTES_MAX];
        struct writer w = writer_over(bytes, sizeof(bytes));

        request->public = public_key_write(before, &w) ? public_key_read(writer_written(&w)) : NULL;
    }
    if (exit_code == EXIT_OK && request->key != NULL) {
        request->public = private_key_public(request->key);
    }
    certificate_free(old);
    return exit_code != EXIT_OK      ? exit_code
           : request->public == NULL ? ca_no_memory(command)
                                     : EXIT_OK;
}

/* The same names with another time. The old one stays good until its time is over: revoke it by its
 * serial number when it must not. `names` is cut. */
static int renew(struct ca_files *files, char names[ISSUED_NAMES_BYTES], int64_t lasts_s,
                 bool quiet)
{
    struct ca_request request = {.key = NULL};
    struct authority_order *order = &request.order;

    for (char *rest = names, *name; (name = strsep(&rest, ",")) != NULL;) {
        if (order->name_count < AUTHORITY_NAMES_MAX) {
            order->names[order->name_count++] = name;
        }
    }
    order->common_name = order->names[0];
    int exit_code = ca_set_times(files, order);

    if (lasts_s > 0 && files->command->days == NULL &&
        order->begins_s + lasts_s < certificate_ends_s(files->authority)) {
        order->ends_s = order->begins_s + lasts_s;
    }
    if (exit_code == EXIT_OK) {
        exit_code = key_like(files, order->names[0], &request);
    }
    if (exit_code == EXIT_OK) {
        exit_code = ca_issue_request(files, &request, quiet);
    }
    ca_request_fini(&request);
    return exit_code;
}

static int renew_one(struct ca_files *files, const char *name)
{
    const struct issued *found = NULL;
    char names[ISSUED_NAMES_BYTES];
    int exit_code = ca_files_open(files, true);

    for (size_t i = 0; exit_code == EXIT_OK && i < files->count; i++) {
        if (files->records[i].revoked_s == 0 && ca_is_called(&files->records[i], name)) {
            found = &files->records[i];
        }
    }
    if (exit_code != EXIT_OK || found == NULL) {
        return exit_code != EXIT_OK ? exit_code : ca_nobody(files->command, name);
    }
    memcpy(names, found->names, sizeof(names));
    return renew(files, names, 0, false);
}

/* ---- what is due ---- */

/* Of each name the last one counts. */
static bool is_last(const struct ca_files *files, size_t index)
{
    const struct issued *record = &files->records[index];

    for (size_t i = index + 1; i < files->count; i++) {
        if (files->records[i].revoked_s == 0 &&
            issued_is_for(&files->records[i], record->names, issued_name_bytes(record))) {
            return false;
        }
    }
    return true;
}

/* After a power cut between the two files of a renewal the key is not the certificate's. */
static bool is_torn(const struct ca_files *files, const char *name)
{
    size_t key_length = 0, length = 0;
    char *key = read_file(files, name, ".key", &key_length);
    char *pem = key == NULL ? NULL : read_file(files, name, ".pem", &length);
    struct credential_verdict verdict = {.problem = CREDENTIAL_FINE};
    struct credential *own = pem == NULL
                                 ? NULL
                                 : credential_read((struct slice){(const uint8_t *)pem, length},
                                                   (struct slice){(const uint8_t *)key, key_length},
                                                   (struct slice){NULL, 0}, &verdict);

    credential_free(own);
    if (key != NULL) {
        wipe(key, key_length);
    }
    free(key);
    free(pem);
    return verdict.problem == CREDENTIAL_MISMATCH;
}

/* The record of the certificate that is in place under that name; -1: it is none of ours. */
static int record_in_place(const struct ca_files *files, const char *name)
{
    struct certificate *here = read_here(files, name);
    char serial[64];
    struct text text = text_over(serial, sizeof(serial));
    int found = -1;

    serial[0] = '\0';
    if (here != NULL) {
        certificate_serial_words(here, &text);
    }
    for (size_t i = 0; here != NULL && i < files->count; i++) {
        if (strcmp(files->records[i].serial, serial) == 0 &&
            ca_is_called(&files->records[i], name)) {
            found = (int)i;
        }
    }
    certificate_free(here);
    return found;
}

/* The record was written and the certificate was not: a full disk, or a power cut before it. */
static bool is_missing(const struct ca_files *files, const char *name, size_t index)
{
    int place = record_in_place(files, name);

    return place >= 0 && (size_t)place < index;
}

static bool parse_within(const struct command *command, int64_t *within_s)
{
    char *end = NULL;
    int64_t days = command->within == NULL ? 0 : strtoll(command->within, &end, 10);

    *within_s = command->within == NULL ? -1 : days * CA_DAY_S;
    return command->within == NULL || (days >= 1 && days <= 36500 && *end == '\0');
}

static bool list_is_old(const struct ca_files *files)
{
    char path[CA_PATH_BYTES];
    struct stat info;

    snprintf(path, sizeof(path), "%s/crl.pem", files->folder);
    return stat(path, &info) != 0 || ca_now_s() - info.st_mtime > LIST_AGE_S;
}

bool ca_tell_daemon(const struct command *command)
{
    struct command order = {.socket_path = command->socket_path, .verb = "certificates"};
    int exit_code = EXIT_OK;

    if (command->socket_path == NULL || access(command->socket_path, F_OK) != 0) {
        return false;
    }
    json_t *reply = daemon_ask(&order, -1, &exit_code);

    json_decref(reply);
    return reply != NULL && exit_code == EXIT_OK;
}

struct due {
    json_t *renewed, *elsewhere;
    int exit_code;
};

static void renew_due(struct ca_files *files, const struct issued *record, struct due *due)
{
    char names[ISSUED_NAMES_BYTES];
    char name[ISSUED_NAMES_BYTES];

    memcpy(names, record->names, sizeof(names));
    snprintf(name, sizeof(name), "%.*s", (int)issued_name_bytes(record), record->names);
    if (!is_there(files, name, ".pem")) {
        if (record->ends_s + FORGOTTEN_S < ca_now_s()) {
            return;
        }
        (void)json_array_append_new(due->elsewhere, json_pack("{s:s, s:I}", "name", name, "ends",
                                                              (json_int_t)record->ends_s));
        return;
    }
    if (record_in_place(files, name) < 0 && !is_torn(files, name)) {
        return; /* somebody else's certificate took its place */
    }
    int exit_code = renew(files, names, record->ends_s - record->begins_s, true);

    if (exit_code == EXIT_OK) {
        (void)json_array_append_new(due->renewed, json_string(name));
    } else {
        due->exit_code = exit_code;
    }
}

static void show_due(const struct command *command, const struct due *due, bool list, bool told)
{
    size_t i;
    json_t *one;

    if (command->json) {
        json_t *answer =
            json_pack("{s:i, s:O, s:O, s:b, s:b}", "version", 1, "renewed", due->renewed,
                      "elsewhere", due->elsewhere, "list", (int)list, "daemon", (int)told);

        print_json(answer);
        json_decref(answer);
        return;
    }
    json_array_foreach(due->renewed, i, one)
    {
        printf("%s was renewed.\n", json_string_value(one));
    }
    json_array_foreach(due->elsewhere, i, one)
    {
        char until[64];
        struct text text = text_over(until, sizeof(until));
        const char *name = text_of(one, "name");

        certificate_time_words((int64_t)number_of(one, "ends"), &text);
        printf("%s is used on another machine and ends on %s: sekisho ca renew %s -o %s.pem, bring "
               "it there, and run: sekisho ca install %s.pem\n",
               name, until, name, name, name);
    }
    if (list) {
        printf("The list of revoked certificates was written anew.\n");
    }
    if (json_array_size(due->renewed) == 0 && json_array_size(due->elsewhere) == 0 && !list) {
        printf("Nothing is due.\n");
    } else if (told) {
        printf("The daemon reads them; tunnels stay as they are.\n");
    }
}

static int renew_all_due(struct ca_files *files)
{
    struct due due = {json_array(), json_array(), EXIT_OK};
    int64_t within_s;
    bool list = false, told = false;

    if (!parse_within(files->command, &within_s)) {
        due.exit_code = fail_with(files->command->json, EXIT_USAGE, NULL,
                                  "--within is a number of days from 1 to 36500");
    } else {
        due.exit_code = ca_files_open(files, true);
    }
    /* What is added on the way stands behind these. */
    size_t count = due.exit_code == EXIT_OK ? files->count : 0;

    for (size_t i = 0; i < count; i++) {
        struct issued record = files->records[i];
        char name[ISSUED_NAMES_BYTES];

        snprintf(name, sizeof(name), "%.*s", (int)issued_name_bytes(&record), record.names);
        if (record.revoked_s == 0 &&
            ((within_s < 0 ? issued_is_due(&record, ca_now_s())
                           : record.ends_s - ca_now_s() <= within_s) ||
             is_torn(files, name) || is_missing(files, name, i)) &&
            is_last(files, i)) {
            renew_due(files, &record, &due);
        }
    }
    if (due.exit_code == EXIT_OK && list_is_old(files)) {
        due.exit_code = ca_write_list(files);
        list = due.exit_code == EXIT_OK;
    }
    if (json_array_size(due.renewed) > 0 || list) {
        told = ca_tell_daemon(files->command);
    }
    if (due.exit_code == EXIT_OK) {
        show_due(files->command, &due, list, told);
    }
    json_decref(due.renewed);
    json_decref(due.elsewhere);
    return due.exit_code;
}

int ca_renew(struct ca_files *files)
{
    const struct command *command = files->command;

    if (command->due != (command->word_count == 1) || (command->due && command->output_path)) {
        return fail_with(command->json, EXIT_USAGE, NULL,
                         "usage: sekisho ca renew NAME [-o FILE], or: sekisho ca renew --due "
                         "[--within DAYS]");
    }
    return command->due ? renew_all_due(files) : renew_one(files, command->words[1]);
}
