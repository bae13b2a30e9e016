# shellcheck shell=bash disable=SC2034,SC2154
# Source it: what the student writes (token_dir, token_list, tokenizer_opts, special_tokens of its configuration),
# where its teacher of text lies (teacher_dir), and text_tag: tokens, LM and the like of a part know nothing of the rest.
teacher_tag=$(basename "${teacher_config}" .yaml)
case ${token_type} in
    bpe) token_tag=bpe${nbpe} ;;
    char) token_tag=char ;;
    hugging_face) token_tag=hugging_face_$(basename "${llm:-${teacher_tag}}") ;;
    *) die "--token_type is bpe, char or hugging_face; got ${token_type}" ;;
esac
text_tag=${token_tag}${train_set#train}
if [ -n "${llm}" ]; then  # its tokens are those of any part
    [ "${token_type}" = hugging_face ] || die "--llm needs --token_type hugging_face: its own tokens"
    text_tag=${token_tag}
fi
[ "${text_case}" = as_is ] || [ -n "${llm}" ] || die "--text_case is for an --llm; other students and their teachers write as data/ does"
teacher_dir=${expdir}/teacher_${teacher_tag}_${text_tag}
token_dir=data/token_list/${text_tag}
tokenizer_opts=(--token_type "${token_type}") special_tokens=()
case ${token_type} in
    bpe) tokenizer_opts+=(--bpemodel "${token_dir}/bpe.model") ;;
    hugging_face)
        [ -n "${llm}" ] || {  # its configuration names those of an LLM
            token_dir=${teacher_dir}
            special_tokens=(--model_conf "sym_blank='[PAD]'" --model_conf "sym_sos='[CLS]'" --model_conf "sym_eos='[SEP]'")
        }
        tokenizer_opts+=(--bpemodel "${token_dir}") ;;
esac
token_list=${token_dir}/tokens.txt
tokenizer_opts+=(--token_list "${token_list}")
