package wasim
import ("testing";"encoding/hex")
func TestZ(t *testing.T){ t.Log(hex.EncodeToString(fixedKey(rootSeed).PublicKey().Bytes())) }
