<?php // Pairs a session with a phone: php pair.php URL API_KEY SESSION
[, $base, $key, $session] = $argv;
$deadline = time() + 300;

/** Sends a request until there is a response to act on. Each of these requests may be repeated. */
function call(string $method, string $path, ?array $body = null): array
{
    global $base, $key, $deadline;
    $id = bin2hex(random_bytes(16));
    $context = stream_context_create(['http' => [
        'method' => $method, 'timeout' => 30, 'ignore_errors' => true, // longer than the wait
        'header' => ["X-API-Key: $key", "X-Request-Id: $id", 'Content-Type: application/json'],
        'content' => $body ? json_encode($body) : '',
    ]]);
    $problem = 'no phone was linked';
    while (time() < $deadline) {
        $http_response_header = [];
        $answer = json_decode((string) @file_get_contents("$base/api/sessions$path", false, $context), true);
        $status = (int) substr($http_response_header[0] ?? '', 9, 3); // 0: no response
        preg_match('/^Retry-After: (\d+)/mi', implode("\n", $http_response_header), $match);
        $after = (int) ($match[1] ?? 2);
        if ($status === 202) sleep($after); // not yet
        if ($answer && ($status < 300 || $status === 409)) return [$status, $answer];
        $problem = "$status " . ($answer['code'] ?? 'no response') . ': ' . ($answer['message'] ?? '') . " (request $id)";
        if ($status >= 400 && $status < 500 && $status !== 429) break; // repeating it does not help
        fwrite(STDERR, "$problem\n");
        sleep($after);
    }
    throw new Exception($problem);
}

call('POST', '', ['sessionId' => $session, 'sessionName' => $session]); // 409: it exists, perhaps since a lost response
call('POST', "/$session/connect");
while (([$status, $found] = call('GET', "/$session/qr"))[0] !== 409) { // 409: a phone is linked
    if ($status === 200) {
        echo 'qr ', $found['data']['qrCode'], "\n"; // show it, until there is another
        while (call('GET', "/$session/qr/status?wait=20")[1]['data']['generatedAt'] === $found['data']['generatedAt']);
    } elseif (($found['diagnosis']['code'] ?? '') === 'qr_expired') call('POST', "/$session/connect"); // all codes ran out
}
echo "connected\n";
