/*
 * The manual pages that are made from tables of the program: `manual conf` writes sekisho.conf(5)
 * from the words of the configuration, `manual troubleshooting` writes sekisho-troubleshooting(7)
 * from the failure catalogue.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "reasons/reason.h"

#define PAGE_BYTES ((size_t)1 << 20)

static const char troubleshooting_heading[] =
    "sekisho-troubleshooting(7)\n\n"
    "# NAME\n\n"
    "sekisho-troubleshooting - what can be wrong with a tunnel, and what to do\n\n"
    "# DESCRIPTION\n\n"
    "*sekisho explain NAME* says why a site is down, step by step: whether the name of the peer is "
    "known, whether it answers, whether both sides agreed on algorithms, whether each proved who "
    "it "
    "is, whether the networks fit, and whether data flows. It ends with a code. The codes never "
    "change "
    "their meaning; *sekisho explain CODE* shows one of them, and this page shows them all.\n\n"
    "When the text is not enough, *sekisho trace NAME* shows the negotiation message by "
    "message.\n\n";

static const char troubleshooting_ending[] =
    "# SEE ALSO\n\n*sekisho*(1), *sekishod*(8), *sekisho.conf*(5)\n";

static int write_configuration(void)
{
    char *page = config_manual();

    if (page == NULL) {
        return EXIT_FAILURE;
    }
    int written = fputs(page, stdout);

    free(page);
    return written < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int write_troubleshooting(void)
{
    char *page = malloc(PAGE_BYTES);

    if (page == NULL) {
        return EXIT_FAILURE;
    }
    struct text out = text_over(page, PAGE_BYTES);

    text_add(&out, troubleshooting_heading);
    reason_manual(&out);
    text_add(&out, troubleshooting_ending);
    int written = out.cut ? -1 : fputs(page, stdout);

    free(page);
    return written < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "conf") == 0) {
        return write_configuration();
    }
    if (argc == 2 && strcmp(argv[1], "troubleshooting") == 0) {
        return write_troubleshooting();
    }
    fprintf(stderr, "usage: manual conf|troubleshooting\n");
    return 2;
}
