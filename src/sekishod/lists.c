/*
 * Decides where the list of our own authority is given, and which one: that of the file which
 * `sekisho ca` writes, read anew when it may have changed, and given as DER (RFC 5280 4.2.1.13).
 */
#include "sekishod/lists.h"

#include "host/files.h"
#include "host/http_server.h"
#include "sekishod/daemon.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_PATH "/ca.crl"
#define LIST_TYPE "application/pkix-crl" /* RFC 2585 4.2 */

struct lists {
    struct http_server *server;
    uint16_t port;
    char trouble[256], next[128];
};

void lists_free(struct lists *lists)
{
    if (lists != NULL) {
        http_server_free(lists->server);
        free(lists);
    }
}

static void say(struct lists *lists, const char *trouble, const char *next)
{
    snprintf(lists->trouble, sizeof(lists->trouble), "%s", trouble);
    snprintf(lists->next, sizeof(lists->next), "%s", next);
}

/* All addresses on which peers are answered. */
static bool open_port(struct daemon *daemon, struct lists *lists, char *why, size_t why_bytes)
{
    const struct address any[] = {{.family = FAMILY_IPV4}, {.family = FAMILY_IPV6}};
    const struct address *list = daemon->listen_count > 0 ? daemon->listen : any;
    size_t count = daemon->listen_count > 0 ? daemon->listen_count : ARRAY_LENGTH(any);

    for (size_t i = 0; i < count; i++) {
        const struct endpoint local = {.address = list[i], .port = lists->port, .tcp = true};
        bool absent;

        if (!http_server_listen(lists->server, &local, &absent, why, why_bytes) && !absent) {
            return false;
        }
    }
    return true;
}

static struct slice find_list(const struct certificate_bag *bag)
{
    return bag->crl_count > 0 ? bag->crls[0] : (struct slice){NULL, 0};
}

void lists_read(struct daemon *daemon)
{
    struct lists *lists = daemon->lists;
    struct certificate_bag bag = {0};
    char path[LOADER_PATH_BYTES], why[512] = "the path is too long";
    size_t length = 0;

    if (lists == NULL || lists->server == NULL) {
        return;
    }
    char *text = loader_beside(daemon->options.secrets_directory, "ca/crl.pem", path)
                     ? files_read(path, &length, why, sizeof(why))
                     : NULL;

    say(lists, "", "");
    if (text == NULL) {
        say(lists, why, "make the list: sekisho ca crl; or take 'crl-port' out");
    } else if (certificate_bag_add(&bag, (struct slice){(const uint8_t *)text, length}) !=
                   CERTIFICATE_BAG_FINE ||
               bag.crl_count == 0) {
        say(lists, "ca/crl.pem is not a list of revoked certificates",
            "make it anew: sekisho ca crl");
    }
    if (!http_server_set(lists->server, LIST_PATH, LIST_TYPE, find_list(&bag))) {
        say(lists, "no memory for the list of revoked certificates",
            "look at the machine's memory");
    }
    certificate_bag_fini(&bag);
    free(text);
}

void lists_apply(struct daemon *daemon)
{
    uint16_t port = (uint16_t)daemon->config->crl_port;
    struct lists *lists = daemon->lists;
    char why[256];

    if (lists == NULL || lists->port != port) {
        lists_free(lists);
        lists = port == 0 ? NULL : calloc(1, sizeof(*lists));
        daemon->lists = lists;
    }
    if (lists == NULL) {
        return;
    }
    lists->port = port;
    /* Where it could not be opened the next configuration tries again. */
    if (lists->server == NULL) {
        lists->server = http_server_new(&daemon->loop);
        if (lists->server == NULL || !open_port(daemon, lists, why, sizeof(why))) {
            say(lists, lists->server == NULL ? "no memory to give the list by HTTP" : why,
                "choose another crl-port, then: sekisho apply");
            http_server_free(lists->server);
            lists->server = NULL;
            log_line(daemon->log, LOG_LEVEL_WARNING, "crl-port", "%s: %s", lists->trouble,
                     lists->next);
            return;
        }
    }
    lists_read(daemon);
}

void lists_turn(struct daemon *daemon, uint64_t now_ms)
{
    if (daemon->lists != NULL && daemon->lists->server != NULL) {
        http_server_time(daemon->lists->server, now_ms);
    }
}

const char *lists_trouble(const struct daemon *daemon, const char **next)
{
    if (daemon->lists == NULL || daemon->lists->trouble[0] == '\0') {
        return NULL;
    }
    *next = daemon->lists->next;
    return daemon->lists->trouble;
}
