/* `status`, `sas` and `drops`: the daemon's figures as one screen. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "sekisho/command.h"

static const char *red(const struct command *command)
{
    return command->colour ? "\033[31m" : "";
}

static const char *plain(const struct command *command)
{
    return command->colour ? "\033[0m" : "";
}

static double child_total(const json_t *site, const char *name)
{
    double total = number_of(site, name);
    size_t index;
    json_t *child;

    json_array_foreach(json_object_get(site, "children"), index, child)
    {
        total += json_object_get(site, name) == NULL ? number_of(child, name) : 0;
    }
    return total;
}

static void show_head(const json_t *answer)
{
    const json_t *gateway = json_object_get(answer, "gateway");
    char up[32];
    char in[32];
    char out[32];

    printf("%s   up %s", text_of(gateway, "name"), show_duration(number_of(gateway, "up_s"), up));
    if (json_object_get(gateway, "config_age_s") != NULL) {
        char age[32];

        printf("   configured %s ago", show_duration(number_of(gateway, "config_age_s"), age));
    }
    printf("   in %s   out %s\n", show_bytes(number_of(gateway, "in_bytes"), in),
           show_bytes(number_of(gateway, "out_bytes"), out));
}

/* What is in use, and of the rest what nobody switched off. */
/* Of TCP only where there is some. */
static void show_tcp(const json_t *answer)
{
    const json_t *tcp = json_object_get(answer, "tcp");
    size_t index;
    json_t *port;
    const char *end;
    json_t *count;

    if (json_array_size(json_object_get(tcp, "ports")) == 0 && number_of(tcp, "connections") == 0 &&
        number_of(tcp, "opened") == 0) {
        return;
    }
    printf("tcp: ");
    json_array_foreach(json_object_get(tcp, "ports"), index, port)
    {
        printf("%s%lld", index == 0 ? "ports " : " ", (long long)json_integer_value(port));
    }
    printf("%s%.0f connections", json_array_size(json_object_get(tcp, "ports")) == 0 ? "" : ", ",
           number_of(tcp, "connections"));
    if (number_of(tcp, "strangers") > 0) {
        printf(", %.0f of strangers", number_of(tcp, "strangers"));
    }
    putchar('\n');
    json_object_foreach(json_object_get(tcp, "refused"), end, count)
    {
        printf("     refused or closed, %s: %lld\n", end, (long long)json_integer_value(count));
    }
}

static void show_offload(const json_t *answer)
{
    const json_t *offload = json_object_get(answer, "offload");
    size_t index;
    json_t *part;

    if (text_of(offload, "text")[0] == '\0') {
        return;
    }
    printf("offload: %s\n", text_of(offload, "text"));
    json_array_foreach(json_object_get(offload, "parts"), index, part)
    {
        const char *reason = text_of(part, "reason");

        if (!is_true(part, "in_use") && strcmp(reason, "not wanted") != 0) {
            printf("  without %s: %s\n", text_of(part, "name"), reason);
        }
    }
    json_array_foreach(json_object_get(offload, "singly_to"), index, part)
    {
        printf("  without udp-segmentation to %s: the way there takes datagrams singly only\n",
               json_string_value(part));
    }
}

static void show_problems(const struct command *command, const json_t *answer)
{
    const json_t *problems = json_object_get(answer, "problems");
    size_t count = json_array_size(problems);
    size_t shown = command->verbose || count <= 5 ? count : 5;

    if (count == 0) {
        return;
    }
    printf("%zu problem%s:\n", count, count == 1 ? "" : "s");
    for (size_t i = 0; i < shown; i++) {
        const json_t *problem = json_array_get(problems, i);

        printf("  %s%s%s\n", red(command), text_of(problem, "text"), plain(command));
        if (text_of(problem, "next")[0] != '\0') {
            printf("    %s\n", text_of(problem, "next"));
        }
    }
    if (shown < count) {
        printf("  ... and %zu more: sekisho status -v\n", count - shown);
    }
}

/* That of the IKE SA; with manual keys there is none. */
static const char *crypto_of(const json_t *site)
{
    const json_t *ike = json_object_get(site, "ike");

    return json_is_object(ike)
               ? text_of(ike, "suite")
               : text_of(json_array_get(json_object_get(site, "children"), 0), "suite");
}

/* Not among the key exchanges, but as good for the traffic. */
static bool has_ppk(const json_t *site)
{
    return is_true(json_object_get(json_object_get(site, "ike"), "ppk"), "used");
}

static const char *post_quantum_of(const json_t *site)
{
    const json_t *ike = json_object_get(site, "ike");

    if (json_is_object(json_object_get(ike, "ppk")) && !has_ppk(site)) {
        return is_true(ike, "established") ? "  NO PPK" : "";
    }
    if (has_ppk(site) && !is_true(ike, "post_quantum")) {
        return "  PPK";
    }
    if (is_true(ike, "post_quantum_missing")) {
        return "  NOT post-quantum";
    }
    return is_true(ike, "post_quantum") ? "  post-quantum" : "";
}

/* A table is for 80 columns: which ML-KEM it is stands with the details. */
static void show_crypto(const json_t *site)
{
    const char *suite = crypto_of(site);
    bool safe = is_true(json_object_get(site, "ike"), "post_quantum");
    const char *more = safe ? strstr(suite, " + ") : NULL;
    int length = more == NULL ? (int)strlen(suite) : (int)(more - suite);

    printf("%.*s%s%s%s\n", length, suite, more == NULL ? "" : "+ML-KEM",
           is_true(json_object_get(site, "ike"), "unauthenticated") ? "  UNAUTHENTICATED"
           : is_true(site, "weak")                                  ? "  WEAK (legacy)"
                                                                    : "",
           safe && strcmp(post_quantum_of(site), "  NO PPK") != 0 ? "" : post_quantum_of(site));
}

static void show_site_line(const struct command *command, const json_t *site, int width)
{
    const char *state = text_of(site, "state");
    bool up = strcmp(state, "up") == 0;
    bool down = strcmp(state, "down") == 0;
    char since[32];
    char in[32];
    char out[32];

    show_duration(number_of(site, "since_s"), since);
    if (up) {
        printf("%-*s %-11s %-8s %-9s %-9s ", width, text_of(site, "name"), state, since,
               show_bytes(child_total(site, "in_bytes"), in),
               show_bytes(child_total(site, "out_bytes"), out));
        show_crypto(site);
        return;
    }
    printf("%-*s %s%-11s%s %-8s %-9s %-9s %s", width, text_of(site, "name"),
           down ? red(command) : "", down ? "DOWN" : state, down ? plain(command) : "", since, "-",
           "-", text_of(json_object_get(site, "reason"), "text"));
    if (number_of(site, "tries") > 0 && json_is_number(json_object_get(site, "next_try_s"))) {
        if (number_of(site, "next_try_s") < 0.5) {
            printf(" (try %.0f, next now)", number_of(site, "tries"));
        } else {
            printf(" (try %.0f, next in %.0f s)", number_of(site, "tries"),
                   number_of(site, "next_try_s"));
        }
    }
    putchar('\n');
}

static void show_list(const char *title, const json_t *list)
{
    size_t index;
    json_t *item;

    printf("    %-10s", title);
    json_array_foreach(list, index, item)
    {
        printf("%s%s", index == 0 ? "" : ", ", json_string_value(item));
    }
    putchar('\n');
}

/* What the path carries, how that is known, and what is left of it inside. */
static void show_size(const json_t *child)
{
    static const struct {
        const char *name, *title;
    } parts[] = {{"outer_ip", "outer IP"}, {"ah", "AH"},  {"udp", "UDP"},
                 {"esp", "ESP"},           {"iv", "IV"},  {"padding", "padding"},
                 {"trailer", "trailer"},   {"icv", "ICV"}};
    const json_t *overhead = json_object_get(child, "overhead");
    const char *between = "";

    if (is_true(child, "tcp")) {
        printf("    %-10sinner %.0f, whatever the path carries: the connection cuts by itself\n",
               "MTU", number_of(child, "inner_mtu"));
        return;
    }
    if (number_of(child, "inner_mtu") > number_of(child, "outer_mtu")) {
        printf("    %-10souter %.0f (%s), packets inside of any length, in pieces\n", "MTU",
               number_of(child, "outer_mtu"), text_of(child, "mtu_source"));
        return;
    }
    printf("    %-10souter %.0f (%s) - %.0f of overhead = inner %.0f\n", "MTU",
           number_of(child, "outer_mtu"), text_of(child, "mtu_source"),
           number_of(child, "overhead_bytes"), number_of(child, "inner_mtu"));
    printf("    %-10s", "overhead");
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        if (number_of(overhead, parts[i].name) > 0) {
            printf("%s%s %.0f", between, parts[i].title, number_of(overhead, parts[i].name));
            between = " + ";
        }
    }
    putchar('\n');
}

static void show_carriage(const json_t *child)
{
    double from = number_of(child, "compressed_from_bytes");
    char every[32];

    printf("    %-10s", "replay");
    if (number_of(child, "replay_window") > 0) {
        printf("window %.0f\n", number_of(child, "replay_window"));
    } else {
        printf("not looked at, %.0f duplicates passed\n", number_of(child, "duplicates"));
    }
    if (is_true(child, "compress")) {
        printf("    %-10son", "compress");
        if (from > 0) {
            printf(", to %.0f %% of what was sent",
                   100 * number_of(child, "compressed_to_bytes") / from);
        }
        putchar('\n');
    }
    if (is_true(child, "iptfs")) {
        printf("    %-10spackets of one size at one rate (IP-TFS)\n", "TFC");
    }
    if (number_of(child, "tfc_bytes") > 0) {
        printf("    %-10spadded to %.0f octets\n", "TFC", number_of(child, "tfc_bytes"));
    }
    if (number_of(child, "tfc_dummy_ms") > 0) {
        printf("    %-10sa dummy packet after %s of silence\n", "TFC",
               show_duration(number_of(child, "tfc_dummy_ms") / 1000, every));
    }
}

static const char *carried_in(const json_t *child)
{
    if (is_true(child, "tcp")) {
        return " in TCP";
    }
    return is_true(child, "encapsulated") ? " in UDP" : "";
}

static void show_child(const struct command *command, const json_t *child)
{
    char in[32];
    char out[32];
    char rekey[32];

    printf("  child %s   %s %s%s   %s%s\n", text_of(child, "name"), text_of(child, "protocol"),
           text_of(child, "mode"), carried_in(child), text_of(child, "suite"),
           is_true(child, "weak") ? "   WEAK (legacy)" : "");
    show_list("ours", json_object_get(child, "local"));
    show_list("theirs", json_object_get(child, "remote"));
    if (json_is_number(json_object_get(child, "worker"))) {
        printf("    %-10ssending worker %.0f alone\n", "for", number_of(child, "worker"));
    }
    if (is_true(child, "narrowed")) {
        printf("    %-10sthe peer agreed to a part of our networks only (SEK-N004)\n", "");
    }
    printf("    %-10sin %s, %.0f packets   out %s, %.0f packets\n", "traffic",
           show_bytes(number_of(child, "in_bytes"), in), number_of(child, "in_packets"),
           show_bytes(number_of(child, "out_bytes"), out), number_of(child, "out_packets"));
    if (command->verbose) {
        printf("    %-10sin %s   out %s\n", "SPI", text_of(child, "spi_in"),
               text_of(child, "spi_out"));
        show_size(child);
        show_carriage(child);
        printf("    %-10sreplayed %.0f, forged %.0f, outside the selectors %.0f\n", "refused",
               number_of(child, "replayed"), number_of(child, "forged"),
               number_of(child, "selector_mismatch"));
    }
    if (json_is_number(json_object_get(child, "rekey_in_s"))) {
        printf("    %-10sin %s\n", "rekey", show_duration(number_of(child, "rekey_in_s"), rekey));
    }
}

/* Which of several peers is in use. */
static void show_host(const json_t *site)
{
    char again[32];

    if (number_of(site, "hosts") < 2 || !json_is_number(json_object_get(site, "host_place"))) {
        return;
    }
    printf("    %-10s%s, number %.0f of %.0f", "host", text_of(site, "host"),
           number_of(site, "host_place"), number_of(site, "hosts"));
    if (json_is_number(json_object_get(site, "return_in_s"))) {
        printf("; called again in %s: those before it",
               show_duration(number_of(site, "return_in_s"), again));
    }
    printf("\n");
}

/* By which of our lines. */
static void show_uplink(const json_t *site)
{
    const char *why = text_of(site, "uplink_why");

    if (number_of(site, "uplinks") == 0) {
        return;
    }
    if (!json_is_number(json_object_get(site, "uplink_place"))) {
        printf("    %-10snone of those that were said\n", "uplink");
        return;
    }
    printf("    %-10s%s, number %.0f of %.0f%s%s\n", "uplink", text_of(site, "uplink"),
           number_of(site, "uplink_place"), number_of(site, "uplinks"), why[0] == '\0' ? "" : ": ",
           why);
}

/* Whether it can move, whether it did, and where else the peer can be reached. */
static void show_moves(const struct command *command, const json_t *site, const json_t *ike)
{
    const json_t *addresses = json_object_get(ike, "peer_addresses");
    char since[32];
    size_t index;
    json_t *address;

    if (number_of(site, "moves") > 0) {
        printf("    %-10s%.0f time%s, last %s ago\n", "moved", number_of(site, "moves"),
               number_of(site, "moves") > 1 ? "s" : "",
               show_duration(number_of(site, "moved_s"), since));
    }
    if (number_of(site, "not_followed") > 0) {
        printf("    %-10sthe peer's address changed too often: not followed %.0f times\n", "",
               number_of(site, "not_followed"));
    }
    if (!command->verbose) {
        return;
    }
    printf("    %-10s%s\n", "mobile", is_true(ike, "mobile") ? "yes" : "no");
    json_array_foreach(addresses, index, address)
    {
        printf("    %-10s%s\n", index == 0 ? "also at" : "", json_string_value(address));
    }
}

static void show_ppk(const json_t *ike)
{
    const json_t *ppk = json_object_get(ike, "ppk");

    if (json_is_object(ppk) && is_true(ike, "established")) {
        printf("    %-10s%s%s\n", "PPK", text_of(ppk, "id"),
               is_true(ppk, "in_ike") ? ", in all keys"
               : is_true(ppk, "used") ? ", in all keys of the traffic"
                                      : " is NOT used: the peer has it not");
    }
}

static void show_site(const struct command *command, const json_t *site)
{
    const json_t *ike = json_object_get(site, "ike");
    const json_t *reason = json_object_get(site, "reason");
    char since[32];
    size_t index;
    json_t *child;

    printf("%s   %s for %s", text_of(site, "name"), text_of(site, "state"),
           show_duration(number_of(site, "since_s"), since));
    printf("%s%s\n", text_of(site, "peer")[0] == '\0' ? "" : "   peer ", text_of(site, "peer"));
    if (text_of(reason, "text")[0] != '\0') {
        printf("  %s  %s\n", text_of(reason, "code"), text_of(reason, "text"));
    }
    if (json_is_object(ike)) {
        printf("  IKEv%.0f   %s%s%s%s%s\n", number_of(ike, "version"),
               is_true(ike, "established") ? text_of(ike, "suite") : "is being negotiated",
               is_true(ike, "unauthenticated")                        ? "   UNAUTHENTICATED"
               : is_true(site, "weak") && is_true(ike, "established") ? "   WEAK (legacy)"
                                                                      : "",
               post_quantum_of(site),
               text_of(ike, "nat")[0] == '\0' ? "" : "   NAT: ", text_of(ike, "nat"));
        if (text_of(ike, "nat")[0] == '\0' && text_of(ike, "udp_asked_by")[0] != '\0') {
            printf("    %-10sbecause %s for it\n", "in UDP",
                   strcmp(text_of(ike, "udp_asked_by"), "us") == 0 ? "we ask" : "the peer asks");
        }
        if (text_of(ike, "looks_like")[0] != '\0') {
            printf("    %-10slooks like %s%s\n", "peer", text_of(ike, "looks_like"),
                   strcmp(text_of(ike, "looks_like_by"), "offer") == 0 ? ", by its offer" : "");
        }
        show_ppk(ike);
        show_given(site);
        if (json_is_number(json_object_get(ike, "rekey_in_s"))) {
            printf("    %-10sin %s\n", "rekey", show_duration(number_of(ike, "rekey_in_s"), since));
        }
        show_host(site);
        show_uplink(site);
        show_moves(command, site, ike);
        if (json_is_number(json_object_get(ike, "reauthenticate_in_s"))) {
            printf("    %-10sin %s\n", "proof",
                   show_duration(number_of(ike, "reauthenticate_in_s"), since));
        }
        if (command->verbose) {
            printf("    %-10s%s %s\n", "SPI", text_of(ike, "spi_i"), text_of(ike, "spi_r"));
        }
    }
    json_array_foreach(json_object_get(site, "children"), index, child)
    {
        show_child(command, child);
    }
}

/* In packets: from the device to the wire, and from the wire to the device. */
static void show_workers(const json_t *workers)
{
    size_t index;
    json_t *worker;

    json_array_foreach(workers, index, worker)
    {
        bool opens = json_is_true(json_object_get(worker, "opens"));
        bool seals = json_is_true(json_object_get(worker, "seals"));

        printf("%sworker %zu %s: device %lld in, %lld out; wire %lld in, %lld out; %lld dropped\n",
               index == 0 ? "\nWORKERS    " : "           ", index,
               opens && seals ? "opens and seals"
               : opens        ? "opens"
                              : "seals",
               (long long)number_of(worker, "from_tun"), (long long)number_of(worker, "to_tun"),
               (long long)number_of(worker, "from_wire"), (long long)number_of(worker, "to_wire"),
               (long long)number_of(worker, "dropped"));
    }
}

int verb_status(const struct command *command)
{
    int exit_code;
    json_t *reply = daemon_ask_pages(command, "sites", &exit_code);

    if (reply == NULL) {
        return exit_code;
    }
    const json_t *answer = json_object_get(reply, "answer");
    const json_t *sites = json_object_get(answer, "sites");
    size_t index;
    json_t *site;
    int width = 10;

    if (command->json) {
        print_json(answer);
        json_decref(reply);
        return exit_code;
    }
    if (command->word_count > 0) {
        json_array_foreach(sites, index, site)
        {
            show_site(command, site);
        }
        json_decref(reply);
        return exit_code;
    }
    show_head(answer);
    show_offload(answer);
    show_tcp(answer);
    show_radius(answer);
    show_problems(command, answer);
    json_array_foreach(sites, index, site)
    {
        int length = (int)strlen(text_of(site, "name"));

        width = length > width ? length : width;
    }
    if (json_array_size(sites) > 0) {
        printf("\n%-*s %-11s %-8s %-9s %-9s %s\n", width, "SITES", "STATE", "SINCE", "IN", "OUT",
               "CRYPTO");
    } else if (json_array_size(json_object_get(answer, "pools")) == 0) {
        printf("\nno sites are configured: see sekisho help site\n");
    }
    json_array_foreach(sites, index, site)
    {
        show_site_line(command, site, width);
        if (command->verbose) {
            size_t number;
            json_t *child;

            json_array_foreach(json_object_get(site, "children"), number, child)
            {
                show_child(command, child);
            }
        }
    }
    show_people(answer);
    if (command->verbose) {
        const json_t *crypto = json_object_get(json_object_get(answer, "crypto"), "engines");
        json_t *line;

        json_array_foreach(crypto, index, line)
        {
            printf("%s%s\n", index == 0 ? "\nCRYPTO     " : "           ", json_string_value(line));
        }
        show_workers(json_object_get(answer, "workers"));
    }
    json_decref(reply);
    return exit_code;
}

int verb_sas(const struct command *command)
{
    int exit_code;
    json_t *reply = daemon_ask_pages(command, "sas", &exit_code);

    if (reply == NULL) {
        return exit_code;
    }
    const json_t *answer = json_object_get(reply, "answer");
    size_t index;
    json_t *sa;

    if (command->json) {
        print_json(answer);
        json_decref(reply);
        return exit_code;
    }
    int width = 16;

    json_array_foreach(json_object_get(answer, "sas"), index, sa)
    {
        int length = (int)strlen(text_of(sa, "site"));

        width = length > width ? length : width;
    }
    if (json_array_size(json_object_get(answer, "sas")) == 0) {
        printf("there are no security associations: no tunnel is up\n");
    } else {
        printf("%-*s %-10s %-10s %-8s %-7s %-10s %-7s %-7s %-9s %-9s %s\n", width, "SITE", "SPI IN",
               "SPI OUT", "ORIGIN", "PROTO", "MODE", "IN UDP", "WORKER", "IN", "OUT", "CRYPTO");
    }
    json_array_foreach(json_object_get(answer, "sas"), index, sa)
    {
        char in[32];
        char out[32];
        char worker[16] = "all";

        if (json_is_number(json_object_get(sa, "worker"))) {
            snprintf(worker, sizeof(worker), "%.0f", number_of(sa, "worker"));
        }
        printf("%-*s %-10s %-10s %-8s %-7s %-10s %-7s %-7s %-9s %-9s %s\n", width,
               text_of(sa, "site"), text_of(sa, "spi_in"), text_of(sa, "spi_out"),
               text_of(sa, "origin"), text_of(sa, "protocol"), text_of(sa, "mode"),
               is_true(sa, "tcp")            ? "TCP"
               : is_true(sa, "encapsulated") ? "yes"
                                             : "no",
               worker, show_bytes(number_of(sa, "in_bytes"), in),
               show_bytes(number_of(sa, "out_bytes"), out), text_of(sa, "suite"));
    }
    json_decref(reply);
    return exit_code;
}

static void show_latest(const json_t *latest)
{
    char ago[32];

    if (json_is_object(latest)) {
        printf("%12s  %s ago: %s%s%s\n", "", show_duration(number_of(latest, "ago_s"), ago),
               text_of(latest, "site"), text_of(latest, "site")[0] == '\0' ? "" : " ",
               text_of(latest, "words"));
    }
}

int verb_drops(const struct command *command)
{
    int exit_code;

    if (command->follow) {
        return daemon_follow(command);
    }
    json_t *reply = daemon_ask(command, -1, &exit_code);

    if (reply == NULL) {
        return exit_code;
    }
    const json_t *answer = json_object_get(reply, "answer");
    const json_t *drops = json_object_get(answer, "drops");
    size_t index;
    size_t shown = 0;
    json_t *drop;

    if (command->json) {
        print_json(answer);
        json_decref(reply);
        return exit_code;
    }
    json_array_foreach(drops, index, drop)
    {
        if (number_of(drop, "count") == 0 && !command->verbose) {
            continue;
        }
        printf("%12.0f  %-20s %s\n", number_of(drop, "count"), text_of(drop, "reason"),
               text_of(drop, "text"));
        show_latest(json_object_get(drop, "latest"));
        shown++;
    }
    if (shown == 0) {
        printf("no packet has been dropped\n");
    }
    json_decref(reply);
    return exit_code;
}
