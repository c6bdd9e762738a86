/*
 * bare.c - what filescom is measured against: logins and logouts on bare libcurl, in a loop.
 *
 *   bare mime|hand BASE_URL USERNAME PASSWORD PAIRS
 *
 * mime: one easy handle, and a new curl_mime for each login. hand: a body written by hand, and a
 * handle each for login and logout, set up once and sharing one connection. Both say what they
 * accept and who they are, as filescom does: libcurl's work grows with each character of a header.
 * Nothing is parsed; the session id is the first "id" that the answer's text holds. An answer that
 * is no success ends the program with 1, so that what is measured was done.
 */
#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACCEPT "Accept: application/json"
#define AGENT "User-Agent: bench-c/0.1.0"
#define BOUNDARY "bench-0123456789abcdef"
#define FIELD "--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n"

typedef struct answer {
    char text[8192];
    size_t size;
} answer;

typedef struct job {
    char url[512];
    const char *username;
    const char *password;
    long pairs;
    answer answer;
} job;

static size_t receive(char *data, size_t unit, size_t count, void *userdata)
{
    answer *into = userdata;
    size_t size = unit * count;

    if (size >= sizeof into->text - into->size)
        return 0;
    memcpy(into->text + into->size, data, size);
    into->size += size;
    into->text[into->size] = '\0';
    return size;
}

static void prepare(job *work, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_URL, work->url);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &work->answer);
}

static bool perform(job *work, CURL *easy)
{
    long status = 0;

    work->answer.size = 0;
    work->answer.text[0] = '\0';
    if (curl_easy_perform(easy) != CURLE_OK)
        return false;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status <= 299;
}

/* The header list of every request, and one more line, if there is one. */
static struct curl_slist *header_list(const char *line)
{
    struct curl_slist *list = curl_slist_append(curl_slist_append(NULL, ACCEPT), AGENT);

    return line ? curl_slist_append(list, line) : list;
}

/* The header list that a logout of the session just opened needs, or NULL. */
static struct curl_slist *session_headers(const job *work)
{
    const char *id = strstr(work->answer.text, "\"id\":\"");
    char line[512];

    if (id == NULL)
        return NULL;
    id += 6;
    snprintf(line, sizeof line, "X-FilesAPI-Auth: %.*s", (int)strcspn(id, "\""), id);
    return header_list(line);
}

static bool log_out(job *work, CURL *easy)
{
    struct curl_slist *headers = session_headers(work);
    bool done;

    if (headers == NULL)
        return false;
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    done = perform(work, easy);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    return done;
}

/* ---- mime ----------------------------------------------------------------------------------- */

static void add_part(curl_mime *mime, const char *name, const char *value)
{
    curl_mimepart *part = curl_mime_addpart(mime);

    curl_mime_name(part, name);
    curl_mime_data(part, value, CURL_ZERO_TERMINATED);
}

static bool log_in_by_mime(job *work, CURL *easy, struct curl_slist *headers)
{
    curl_mime *mime = curl_mime_init(easy);
    bool done;

    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    add_part(mime, "username", work->username);
    add_part(mime, "password", work->password);
    curl_easy_setopt(easy, CURLOPT_MIMEPOST, mime);
    done = perform(work, easy);
    curl_easy_setopt(easy, CURLOPT_MIMEPOST, NULL);
    curl_mime_free(mime);
    return done;
}

static bool run_mime(job *work)
{
    CURL *easy = curl_easy_init();
    struct curl_slist *headers = header_list(NULL);
    bool done = true;
    long i;

    prepare(work, easy);
    for (i = 0; i < work->pairs && done; i++) {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, NULL);
        done = log_in_by_mime(work, easy, headers);
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "DELETE");
        done = done && log_out(work, easy);
    }
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
    return done;
}

/* ---- a body written by hand ----------------------------------------------------------------- */

static bool log_in_by_hand(job *work, CURL *easy)
{
    char body[1024];
    int size = snprintf(body, sizeof body, FIELD FIELD "--" BOUNDARY "--\r\n", "username",
                        work->username, "password", work->password);

    if (size < 0 || (size_t)size >= sizeof body)
        return false;
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)size);
    return perform(work, easy);
}

static bool run_hand(job *work)
{
    CURLSH *share = curl_share_init();
    CURL *login = curl_easy_init();
    CURL *logout = curl_easy_init();
    struct curl_slist *headers =
        header_list("Content-Type: multipart/form-data; boundary=" BOUNDARY);
    bool done = true;
    long i;

    curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT);
    curl_easy_setopt(login, CURLOPT_SHARE, share);
    curl_easy_setopt(logout, CURLOPT_SHARE, share);
    prepare(work, login);
    prepare(work, logout);
    curl_easy_setopt(login, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(logout, CURLOPT_CUSTOMREQUEST, "DELETE");
    for (i = 0; i < work->pairs && done; i++)
        done = log_in_by_hand(work, login) && log_out(work, logout);
    curl_easy_cleanup(login);
    curl_easy_cleanup(logout);
    curl_share_cleanup(share);
    curl_slist_free_all(headers);
    return done;
}

int main(int argc, char **argv)
{
    static job work;
    bool done;

    if (argc != 6) {
        fprintf(stderr, "usage: bare mime|hand BASE_URL USERNAME PASSWORD PAIRS\n");
        return 2;
    }
    snprintf(work.url, sizeof work.url, "%s/sessions", argv[2]);
    work.username = argv[3];
    work.password = argv[4];
    work.pairs = strtol(argv[5], NULL, 10);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    done = strcmp(argv[1], "hand") == 0 ? run_hand(&work) : run_mime(&work);
    curl_global_cleanup();
    return done ? 0 : 1;
}
