/* `capture`: whose packets, and which; the packets themselves are the daemon's business. */
#include "gateway/status.h"
#include "management/answers.h"

json_t *answer_capture(const struct question *question)
{
    const struct management *m = question->management;
    const char *site = question->word_count > 0 ? question->words[0] : "";
    char why[256] = "";
    struct management_capture order = {
        .site = site,
        .outer = !question->plain || question->both,
        .inner = question->plain || question->both,
        .keys = question->keys,
        .packets_max = question->count,
    };

    if (!gateway_policy_id(m->gateway, site, &order.policy_id)) {
        return reply_no_such_site(question, site);
    }
    if (order.keys && !gateway_config(m->gateway)->keep_keys) {
        return reply_error(REPLY_FAILED,
                           "Say 'keep-keys on' in the configuration and sekisho apply; then\n"
                           "sekisho restart the site: SAs that are there already have none.",
                           "no keys are kept to be written");
    }
    if (m->capture == NULL || !m->capture(m->context, &order, why, sizeof(why))) {
        return reply_error(REPLY_FAILED, NULL, "%s: %s", site, why);
    }
    return reply_answer(REPLY_OK, json_pack("{s:s}", "site", site));
}
