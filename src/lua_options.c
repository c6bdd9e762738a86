/*
 * lua_options.c - option tables read by small typed readers, whose errors name the field.
 *
 * Types are taken strictly: a number is never taken for a string, since a string that Lua makes of
 * one dies when it leaves the stack. See lua_core.h.
 */
#include "lua_core.h"

#include <stdio.h>
#include <string.h>

#define LONGEST_SECONDS 1e6
#define LARGEST_SIZE 9007199254740991.0

/* Reads the value at the top of the stack into target; `name` is for errors. */
typedef void (*reader)(lua_State *L, const char *name, void *target);

typedef struct field {
    const char *name;
    reader read;
    size_t offset; /* of the target in the structure that is filled */
} field;

static void expect_type(lua_State *L, const char *name, int type)
{
    if (lua_type(L, -1) != type)
        core_usage_error(L, "option '%s' must be a %s, got %s", name, lua_typename(L, type),
                         luaL_typename(L, -1));
}

static void read_bytes(lua_State *L, const char *name, void *target)
{
    filescom_bytes *bytes = target;

    expect_type(L, name, LUA_TSTRING);
    bytes->data = lua_tolstring(L, -1, &bytes->size);
}

static void read_string(lua_State *L, const char *name, void *target)
{
    filescom_bytes bytes;

    read_bytes(L, name, &bytes);
    if (memchr(bytes.data, '\0', bytes.size) != NULL)
        core_usage_error(L, "option '%s' holds a NUL byte", name);
    *(const char **)target = bytes.data;
}

static lua_Number read_number(lua_State *L, const char *name)
{
    expect_type(L, name, LUA_TNUMBER);
    return lua_tonumber(L, -1);
}

/* Seconds into milliseconds. The comparison is so written that NaN fails it. */
static void read_seconds(lua_State *L, const char *name, void *target)
{
    lua_Number seconds = read_number(L, name);

    if (!(seconds > 0 && seconds <= LONGEST_SECONDS))
        core_usage_error(L, "option '%s' must be a number of seconds above 0 and up to 1000000",
                         name);
    *(long *)target = seconds < 0.001 ? 1 : (long)(seconds * 1000);
}

static void read_count(lua_State *L, const char *name, void *target)
{
    lua_Number count = read_number(L, name);

    if (!(count >= 0 && count <= 1000) || count != (lua_Number)(long)count)
        core_usage_error(L, "option '%s' must be a whole number from 0 to 1000", name);
    *(long *)target = (long)count;
}

static void read_size(lua_State *L, const char *name, void *target)
{
    lua_Number size = read_number(L, name);

    if (!(size >= 1 && size <= LARGEST_SIZE) || size != (lua_Number)(size_t)size)
        core_usage_error(L, "option '%s' must be a whole number, 1 or more", name);
    *(size_t *)target = (size_t)size;
}

static void read_flag(lua_State *L, const char *name, void *target)
{
    expect_type(L, name, LUA_TBOOLEAN);
    *(bool *)target = lua_toboolean(L, -1);
}

static void read_length(lua_State *L, const char *name, void *target)
{
    lua_Number size = read_number(L, name);

    if (!(size >= 0 && size <= LARGEST_SIZE) || size != (lua_Number)(uint64_t)size)
        core_usage_error(L, "option '%s' must be a whole number, 0 or more", name);
    *(uint64_t *)target = (uint64_t)size;
}

static const field *find_field(const field *fields, const char *name)
{
    for (; fields->name != NULL; fields++)
        if (strcmp(fields->name, name) == 0)
            return fields;
    return NULL;
}

/* Copies the key, since lua_tostring would turn a number in place and confuse lua_next. */
static int unknown_option(lua_State *L)
{
    lua_pushvalue(L, -2);
    if (lua_isstring(L, -1))
        return core_usage_error(L, "unknown option '%s'", lua_tostring(L, -1));
    return core_usage_error(L, "unknown option (a %s as its name)", luaL_typename(L, -1));
}

static void read_fields(lua_State *L, int index, const char *what, const field *fields,
                        void *target)
{
    if (!lua_istable(L, index))
        core_usage_error(L, "%s must be a table, got %s", what, luaL_typename(L, index));
    luaL_checkstack(L, 4, NULL);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        const field *found =
            lua_type(L, -2) == LUA_TSTRING ? find_field(fields, lua_tostring(L, -2)) : NULL;

        if (found != NULL)
            found->read(L, found->name, (char *)target + found->offset);
        else
            unknown_option(L);
        lua_pop(L, 1);
    }
}

const char *core_optional_string(lua_State *L, int index, const char *what)
{
    const char *text = NULL;

    if (lua_isnoneornil(L, index))
        return NULL;
    lua_pushvalue(L, index);
    read_string(L, what, &text);
    lua_pop(L, 1); /* the argument itself keeps the string alive */
    return text;
}

/* ---- a client's options --------------------------------------------------------------------- */

typedef struct client_fields {
    filescom_options options;
    const char *base_url;
    const char *subdomain;
} client_fields;

#define OPTION(field) offsetof(client_fields, options.field)

static const field client_options[] = {
    {"base_url", read_string, offsetof(client_fields, base_url)},
    {"subdomain", read_string, offsetof(client_fields, subdomain)},
    {"timeout", read_seconds, OPTION(timeout_ms)},
    {"connect_timeout", read_seconds, OPTION(connect_timeout_ms)},
    {"retries", read_count, OPTION(retries)},
    {"ca_file", read_string, OPTION(ca_file)},
    {"ca_path", read_string, OPTION(ca_path)},
    {"proxy", read_string, OPTION(proxy)},
    {"user_agent", read_string, OPTION(user_agent)},
    {"language", read_string, OPTION(language)},
    {"workspace_id", read_string, OPTION(workspace_id)},
    {"max_response_size", read_size, OPTION(max_response_size)},
    {"max_in_flight", read_size, OPTION(max_in_flight)},
    {NULL, NULL, 0},
};

static bool is_subdomain(const char *text)
{
    size_t size = strlen(text);

    return size > 0 && size <= 63 && text[0] != '-' && text[size - 1] != '-' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == size;
}

/* Pushes the base URL of a site, in the place of the options table, which has been read. */
static const char *push_site_url(lua_State *L, const char *subdomain)
{
    if (!is_subdomain(subdomain))
        core_usage_error(L,
                         "option 'subdomain' must be one label of a host name, such as 'mysite'");
    return lua_pushfstring(L, "https://%s.files.com", subdomain);
}

void core_read_options(lua_State *L, int index, filescom_options *options)
{
    client_fields fields = {0};

    filescom_options_init(&fields.options);
    if (!lua_isnoneornil(L, index))
        read_fields(L, index, "options", client_options, &fields);
    if (fields.base_url != NULL && fields.subdomain != NULL)
        core_usage_error(L, "give option 'base_url' or option 'subdomain', not both");
    if (fields.base_url != NULL)
        fields.options.base_url = fields.base_url;
    if (fields.subdomain != NULL)
        fields.options.base_url = push_site_url(L, fields.subdomain);
    *options = fields.options;
}

/* ---- credentials ---------------------------------------------------------------------------- */

static const field credential_fields[] = {
    {"username", read_bytes, offsetof(filescom_credentials, username)},
    {"password", read_bytes, offsetof(filescom_credentials, password)},
    {"otp", read_bytes, offsetof(filescom_credentials, otp)},
    {"partial_session_id", read_bytes, offsetof(filescom_credentials, partial_session_id)},
    {NULL, NULL, 0},
};

void core_read_credentials(lua_State *L, int index, filescom_credentials *credentials)
{
    *credentials = (filescom_credentials){0};
    read_fields(L, index, "credentials", credential_fields, credentials);
}

/* ---- a request ------------------------------------------------------------------------------ */

typedef struct request_fields {
    filescom_request request;
    bool raw;
} request_fields;

#define REQUEST(field) offsetof(request_fields, request.field)

static void read_source_size(lua_State *L, const char *name, void *target)
{
    filescom_request *request = target;

    read_length(L, name, &request->source_size);
    request->has_source = true;
}

/* The table itself is read later. */
static void read_headers(lua_State *L, const char *name, void *target)
{
    (void)target;
    expect_type(L, name, LUA_TTABLE);
}

static const field request_options[] = {
    {"method", read_string, REQUEST(method)},
    {"path", read_bytes, REQUEST(path)},
    {"base_url", read_string, REQUEST(base_url)},
    {"origin", read_string, REQUEST(origin)},
    {"session_id", read_bytes, REQUEST(session_id)},
    {"headers", read_headers, 0},
    {"body", read_bytes, REQUEST(body)},
    {"timeout", read_seconds, REQUEST(timeout_ms)},
    {"stall_timeout", read_seconds, REQUEST(stall_ms)},
    {"sink", read_flag, REQUEST(has_sink)},
    {"size", read_source_size, offsetof(request_fields, request)},
    {"raw", read_flag, offsetof(request_fields, raw)},
    {NULL, NULL, 0},
};

static size_t count_entries(lua_State *L, int index)
{
    size_t count = 0;

    lua_pushnil(L);
    while (lua_next(L, index)) {
        count++;
        lua_pop(L, 1);
    }
    return count;
}

static void read_header(lua_State *L, filescom_header *header)
{
    if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
        core_usage_error(L, "option 'headers' must hold strings under strings");
    header->name.data = lua_tolstring(L, -2, &header->name.size);
    header->value.data = lua_tolstring(L, -1, &header->value.size);
}

/* Pushes a userdata with room for the entries of the table of headers, if the request has one. */
static filescom_header *push_room(lua_State *L, int index, size_t *count)
{
    lua_pushliteral(L, "headers");
    lua_rawget(L, index); /* what the table does not hold itself is not asked for */
    *count = lua_istable(L, -1) ? count_entries(L, lua_gettop(L)) : 0;
    return lua_newuserdatauv(L, (*count + 1) * sizeof(filescom_header), 0);
}

static void fill_headers(lua_State *L, int index, filescom_header *headers, size_t count)
{
    size_t filled = 0;

    lua_pushnil(L);
    while (lua_next(L, index)) {
        if (filled == count)
            core_usage_error(L, "option 'headers' was changed meanwhile");
        read_header(L, &headers[filled++]);
        lua_pop(L, 1);
    }
    if (filled < count)
        core_usage_error(L, "option 'headers' was changed meanwhile");
}

/*
 * All that allocates comes first: it may run finalizers, and these may take values out of the
 * tables that are read.
 */
exchange_kind core_read_request(lua_State *L, int index, filescom_request *request)
{
    request_fields fields = {0};
    filescom_header *headers = NULL;
    size_t count = 0;

    luaL_checkstack(L, 8, NULL);
    if (lua_istable(L, index))
        headers = push_room(L, index, &count);
    read_fields(L, index, "request", request_options, &fields);
    *request = fields.request;
    if (request->method == NULL || request->path.data == NULL)
        core_usage_error(L, "a request needs 'method' and 'path'");
    if (count > 0)
        fill_headers(L, lua_gettop(L) - 1, headers, count);
    request->headers = headers;
    request->header_count = count;
    return fields.raw ? EXCHANGE_RAW : EXCHANGE_CALL;
}
