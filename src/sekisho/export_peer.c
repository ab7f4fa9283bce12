/*
 * `export-peer`: the other side's configuration of a site. The daemon is not asked: what stands in
 * the file is what is meant. A key is written only when --with-secret says so.
 */
#include "sekisho/export_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "host/files.h"
#include "loader/loader.h"
#include "sekisho/command.h"

static const struct export_format *format_of(const char *name)
{
    for (size_t i = 0; export_format_at(i) != NULL; i++) {
        if (name != NULL && strcmp(export_format_at(i)->name, name) == 0) {
            return export_format_at(i);
        }
    }
    return NULL;
}

static int complain_format(const struct command *command)
{
    char names[256];
    struct text list = text_over(names, sizeof(names));

    for (size_t i = 0; export_format_at(i) != NULL; i++) {
        text_addf(&list, "%s%s", i > 0 ? ", " : "", export_format_at(i)->name);
    }
    if (command->product == NULL) {
        return fail_with(command->json, EXIT_USAGE, NULL, "for which product? --for one of: %s",
                         names);
    }
    return fail_with(command->json, EXIT_USAGE, NULL, "'%s' is none of: %s", command->product,
                     names);
}

/* A name that every product takes: letters, digits and '-'. */
static void plain_name(const char *from, char out[CONFIG_NAME_BYTES])
{
    size_t length = strcspn(from, ".");
    size_t used = 0;

    /* An address is no name by its first part. */
    if (from[strspn(from, "0123456789.:")] == '\0') {
        length = strlen(from);
    }
    for (size_t i = 0; i < length && used + 1 < CONFIG_NAME_BYTES; i++) {
        char c = from[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        out[used++] = good ? c : '-';
    }
    out[used] = '\0';
}

static bool fill(struct export_peer *e, const struct config *config, const struct config_site *site,
                 char address[ADDRESS_TEXT_BYTES])
{
    const struct config_host *host = &site->peers[0];

    *e = (struct export_peer){
        .config = config,
        .site = site,
        .our_address = config->listen_count > 0 ? address_format(&config->listen[0], address)
                                                : config->gateway,
        .peer_address = host->any ? NULL : host->text,
        .our_identity = site->say != NULL ? site->say : config->gateway,
        .our_networks = site->lan_count > 0 ? site->lans : config->lans,
        .our_count = site->lan_count > 0 ? site->lan_count : config->lan_count,
        .peer_networks = site->networks,
        .peer_count = site->network_count,
    };
    plain_name(config->gateway, e->name);
    e->peer_identity = config_site_identity(site);
    if (e->peer_identity == NULL) {
        e->peer_identity = e->peer_address != NULL ? e->peer_address : site->name;
    }
    return e->name[0] != '\0';
}

static int put_out(const struct command *command, const struct export_format *format,
                   const struct sheet *out)
{
    char why[512];

    if (out->failed) {
        return fail_with(command->json, EXIT_FAILED, NULL, "there is no memory");
    }
    if (command->output_path != NULL) {
        if (!files_write(command->output_path, sheet_slice(out), 0600, why, sizeof(why))) {
            return fail_with(command->json, EXIT_FAILED, NULL, "%s", why);
        }
    } else if (!command->json) {
        fwrite(out->data, 1, out->length, stdout);
        return EXIT_OK;
    }
    if (command->json) {
        json_t *answer = json_pack("{s:i, s:s, s:s, s:s}", "version", 1, "site", command->words[0],
                                   "for", format->name, "text", out->data);

        print_json(answer);
        json_decref(answer);
    } else {
        printf("Written to %s.\n", command->output_path);
    }
    return EXIT_OK;
}

static int export_site(const struct command *command, const struct export_format *format,
                       const struct config *config, const struct config_loader *loader)
{
    const struct config_site *site = config_find_site(config, command->words[0]);
    struct secret secret = {.bytes = NULL};
    struct secret ppk = {.bytes = NULL};
    char address[ADDRESS_TEXT_BYTES];
    struct export_peer e;
    struct sheet out = {0};
    char why[512] = "";

    if (site == NULL) {
        return fail_with(command->json, EXIT_FAILED, NULL, "there is no site %s",
                         command->words[0]);
    }
    if (site->carriage.mode == CONFIG_TRANSPORT || site->protection == CONFIG_AH) {
        return fail_with(command->json, EXIT_FAILED, NULL,
                         "site %s is in transport mode or has AH: this is not exported",
                         site->name);
    }
    if (site->key.name == NULL && !format->certificates) {
        return fail_with(command->json, EXIT_FAILED,
                         "Certificates are imported there by hand; or use a key.",
                         "site %s has no line key: for %s only shared keys are exported",
                         site->name, format->product);
    }
    if (site->unauthenticated) {
        return fail_with(command->json, EXIT_FAILED, NULL,
                         "site %s is unauthenticated: this is not exported", site->name);
    }
    /* What a peer may do without is left out where it cannot be said. */
    if (site->ppk != NULL && site->ppk->required && (!format->ppk || site->ppk->opaque)) {
        return fail_with(command->json, EXIT_FAILED, "Set the PPK up there by hand.",
                         "site %s requires a PPK: for %s %s", site->name, format->product,
                         format->ppk ? "only those of a fixed ID are exported"
                                     : "none is exported");
    }
    if (!fill(&e, config, site, address)) {
        return fail_with(command->json, EXIT_FAILED, NULL, "the gateway has no name");
    }
    if (command->with_secret && site->key.name != NULL) {
        if (!loader->secret_text(loader->context, site->key.name, &secret, why, sizeof(why))) {
            return fail_with(command->json, EXIT_FAILED, NULL, "%s", why);
        }
        e.secret = secret_slice(&secret);
    }
    if (command->with_secret && site->ppk != NULL) {
        if (!loader->secret_text(loader->context, site->ppk->secret.name, &ppk, why, sizeof(why))) {
            secret_wipe(&secret);
            return fail_with(command->json, EXIT_FAILED, NULL, "%s", why);
        }
        e.ppk = secret_slice(&ppk);
    }
    format->write(&e, &out);
    int exit_code = put_out(command, format, &out);

    if (out.data != NULL) {
        wipe(out.data, out.capacity);
    }
    sheet_fini(&out);
    secret_wipe(&secret);
    secret_wipe(&ppk);
    return exit_code;
}

int verb_export_peer(const struct command *command)
{
    const struct export_format *format = format_of(command->product);
    const char *path = command->config_path != NULL ? command->config_path : LOADER_DEFAULT_CONFIG;
    char secrets[LOADER_PATH_BYTES];
    int exit_code = EXIT_FAILED;

    if (format == NULL) {
        return complain_format(command);
    }
    if (!loader_secrets_directory(path, secrets)) {
        return fail_with(command->json, EXIT_USAGE, NULL, "the path is too long: %s", path);
    }
    /* A secret that is missing is a mistake only where it is to be shown. */
    struct loader *loader = loader_new(secrets, command->with_secret);
    struct config_result *result = loader == NULL ? NULL : config_read(path, loader_config(loader));

    if (result != NULL && result->config != NULL) {
        exit_code = export_site(command, format, result->config, loader_config(loader));
    } else if (result != NULL) {
        exit_code = fail_with(command->json, EXIT_FAILED, "sekisho check says what is wrong",
                              "the configuration %s has %zu errors", path, result->error_count);
    }
    config_result_free(result);
    loader_free(loader);
    return exit_code;
}
