/* Decides which threads ask tokens, and what becomes of the answers. */
#include "sekishod/tokens.h"

#include "host/token.h"
#include "sekishod/daemon.h"

#include <stdlib.h>

/* One token that is silent leaves another thread for those of other sites. */
#define THREADS 2

struct tokens {
    struct jobs *jobs;
};

struct token_job {
    struct exchange *exchange; /* NULL: a key is opened */
    uint64_t question;
    struct certificates_reading *reading;
    struct credential *own;
    struct trust *trust;
    char why[512];
};

static void run(void *work)
{
    struct token_job *job = work;

    if (job->exchange != NULL) {
        actions_do_job(job->exchange);
    } else if (!certificates_end(job->reading, &job->own, &job->trust, job->why,
                                 sizeof(job->why))) {
        job->own = NULL;
        job->trust = NULL;
    }
}

static void drop(void *work)
{
    struct token_job *job = work;

    if (job->exchange != NULL) {
        actions_drop_job(job->exchange);
    }
    certificates_reading_free(job->reading);
    credential_free(job->own);
    trust_free(job->trust);
    free(job);
}

void tokens_free(struct tokens *tokens)
{
    if (tokens != NULL) {
        jobs_free(tokens->jobs, drop);
        free(tokens);
    }
}

static bool put(struct daemon *daemon, struct token_job *job, enum job_kind kind)
{
    if (daemon->tokens == NULL) {
        struct tokens *tokens = calloc(1, sizeof(*tokens));

        if (tokens == NULL) {
            return false;
        }
        tokens->jobs = jobs_new(THREADS, run, &daemon->wake);
        if (tokens->jobs == NULL) {
            free(tokens);
            return false;
        }
        daemon->tokens = tokens;
    }
    return jobs_put(daemon->tokens->jobs, job, kind);
}

void tokens_read(struct daemon *daemon, uint64_t question, struct certificates_reading *reading,
                 uint64_t now_ms)
{
    struct token_job *job = calloc(1, sizeof(*job));

    if (job != NULL) {
        job->question = question;
        job->reading = reading;
    } else {
        certificates_reading_free(reading);
    }
    if (job == NULL || !put(daemon, job, JOB_URGENT)) {
        gateway_certificates(daemon->gateway, question, NULL, NULL,
                             "too much is asked of the tokens at once", now_ms);
        if (job != NULL) {
            drop(job);
        }
    }
}

bool tokens_sign(struct daemon *daemon, struct exchange *exchange)
{
    struct token_job *job = calloc(1, sizeof(*job));

    if (job == NULL) {
        return false;
    }
    job->exchange = exchange;
    if (!put(daemon, job, JOB_COMMON)) {
        free(job);
        return false;
    }
    return true;
}

void tokens_turn(struct daemon *daemon, uint64_t now_ms)
{
    struct token_job *job;

    while (daemon->tokens != NULL && (job = jobs_take(daemon->tokens->jobs)) != NULL) {
        if (job->exchange != NULL) {
            actions_finish(daemon, job->exchange, now_ms);
            job->exchange = NULL;
        } else {
            gateway_certificates(daemon->gateway, job->question, job->own, job->trust, job->why,
                                 now_ms);
            actions_certificates_were_read(daemon, now_ms);
        }
        drop(job);
    }
}
